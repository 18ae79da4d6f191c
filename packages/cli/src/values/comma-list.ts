/** Flags that take a list. */
import { InvalidValue } from '../failure.ts';

/** A field in quotes, where `""` stands for `"`, or one without; then a comma or the end. */
const FIELD = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;

/** The parts of a list with commas, as restic reads them: one that has a comma in it stands in double quotes. */
export function splitCommas(text: string): string[] {
  if (text === '') return [];
  const field = new RegExp(FIELD);
  const parts: string[] = [];
  for (;;) {
    const [, quoted, plain = '', end] = field.exec(text) ?? [];
    if (end === undefined)
      throw new InvalidValue('a part of a list with a " in it must stand in quotes, with "" for each');
    parts.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === '') return parts;
  }
}
