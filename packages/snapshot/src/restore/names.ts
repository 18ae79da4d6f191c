/** Which names from a tree may become names in the target. */

/** Names a tree has no business to hold anywhere: they would lead out of their directory. */
const LEADS_ELSEWHERE = /[/\0]/;
/** Windows: separators, streams and drives, what cannot be in a name, and what Windows cuts off silently. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const NOT_ON_WINDOWS = /[\\:*?"<>|\u0000-\u001f]|[. ]$/;
const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i;

/** PATH_MAX and its likes, in bytes, with the NUL; a tree can describe paths of any length. */
const LONGEST: Partial<Record<NodeJS.Platform, number>> = { linux: 4096, darwin: 1024, win32: 32_767 };
const LONGEST_ELSEWHERE = 1024;

/** Can `name` be the name of one entry of a directory, and of nothing else? */
export function isPlainName(name: string, platform: NodeJS.Platform = process.platform): boolean {
  if (name === '' || name === '.' || name === '..' || LEADS_ELSEWHERE.test(name)) return false;
  return platform !== 'win32' || (!NOT_ON_WINDOWS.test(name) && !WINDOWS_DEVICE.test(name));
}

/** Does the system take a path of the target followed by `path`? UTF-16 units are counted first: they are never more than bytes. */
export function fitsSystem(target: string, path: string, platform: NodeJS.Platform = process.platform): boolean {
  const longest = LONGEST[platform] ?? LONGEST_ELSEWHERE;
  const units = target.length + path.length;
  if (units >= longest) return false;
  return units * 3 < longest || Buffer.byteLength(target) + Buffer.byteLength(path) < longest;
}
