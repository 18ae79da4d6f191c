/** How wide text is on a terminal. */

const WIDE =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;
const NO_WIDTH = /\p{Mark}|\p{Format}|[\u1160-\u11ff]/u;
/** Two of them are a flag. */
const HALF_A_FLAG = /\p{Regional_Indicator}/u;

/** Columns a text takes on a terminal. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of text) width += widthOfChar(char);
  return width;
}

function widthOfChar(char: string): number {
  if (char >= ' ' && char <= '~') return 1;
  if (NO_WIDTH.test(char)) return 0;
  return WIDE.test(char) && !HALF_A_FLAG.test(char) ? 2 : 1;
}

/** As much of a text as `width` columns have room for. */
export function cutText(text: string, width: number): string {
  let used = 0;
  let end = 0;
  for (const char of text) {
    used += widthOfChar(char);
    if (used > width) return text.slice(0, end);
    end += char.length;
  }
  return text;
}

/** After these a line is broken rather than in the middle of a word. */
const BREAKS = /^.*[/,;.@\s-]/su;

/** Lines of at most `width` columns, at least one character each, which make the text when they are joined. */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (displayWidth(rest) > width) {
    const room = cutText(rest, width) || Array.from(rest)[0] || rest;
    const [line] = BREAKS.exec(room) ?? [room];
    lines.push(line);
    rest = rest.slice(line.length);
  }
  return [...lines, rest];
}
