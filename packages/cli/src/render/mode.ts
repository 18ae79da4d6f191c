/** The mode of a node for people, in the notation of Go: one letter for each type bit, then the permissions. */

const TYPE_LETTERS = 'dalTLDpSugct?';
const PERMISSIONS = 'rwxrwxrwx';

/** `drwxr-xr-x`, `Lrwxrwxrwx`, `Dcrw-rw-rw-`. */
export function formatMode(mode: number): string {
  const letters = [...TYPE_LETTERS].filter((_, index) => (mode & (1 << (31 - index))) !== 0).join('');
  const permissions = [...PERMISSIONS].map((letter, index) => ((mode & (1 << (8 - index))) === 0 ? '-' : letter));
  return (letters === '' ? '-' : letters) + permissions.join('');
}
