import { EngineError } from '@restic-engine/repo-format';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cleanPath, resolvePath } from '../src/filter/clean-path.ts';
import { compilePatterns } from '../src/filter/pattern.ts';
import { parsePatternFile } from '../src/filter/pattern-file.ts';
import { matchByOracle } from './filter-oracle.ts';

const match = (pattern: string, path: string): boolean => compilePatterns([pattern]).matches(path);

describe('cleanPath', () => {
  it.each([
    ['', '.'],
    ['/', '/'],
    ['//a///b/', '/a/b'],
    ['a/./b/../c', 'a/c'],
    ['../../a/..', '../..'],
    ['/../a', '/a'],
    ['a/..', '.'],
    ['..a/...', '..a/...'],
  ])('%s → %s', (path, clean) => {
    expect(cleanPath(path)).toBe(clean);
  });

  it('resolves against a directory', () => {
    expect(resolvePath('/t/w', '../x/')).toBe('/t/x');
    expect(resolvePath('/t/w', '/x')).toBe('/x');
    expect(resolvePath('/', 'x')).toBe('/x');
  });
});

describe('one pattern', () => {
  it.each([
    ['foo', '/x/foo/bar', true],
    ['foo', '/x/foobar', false],
    ['/foo', '/x/foo', false],
    ['/foo', '/foo/bar', true],
    ['/', '/anything', true],
    ['foo/', '/x/foo', true],
    ['./foo//bar', '/foo/bar', true],
    ['a/../foo', '/x/foo', true],
    ['foo/*', '/x/foo', false],
    ['*.o', '/x/lib.o/part', true],
    ['*.o', '/x/lib.ok', false],
    ['a*c', '/ac', true],
    ['a*c', '/a/c', false],
    ['ab*ba', '/aba', false],
    ['a*b*c', '/aXbYbZc', true],
    ['*a*', '/xay', true],
    ['a**b', '/a--b', true],
    ['a**b', '/a/b', false],
    ['/foo/**/bar', '/foo/bar', true],
    ['/foo/**/bar', '/foo/x/y/bar/z', true],
    ['/foo/**/bar', '/x/foo/bar', false],
    ['a/**/b/**/c', '/x/a/1/b/2/3/c', true],
    ['a/**/b/**/c', '/x/a/1/c/2/3/b', false],
    ['**', '/x', true],
    ['**/x', '/x', true],
    ['[a-c]x', '/bx', true],
    ['[a-c]x', '/dx', false],
    ['[^a-c]x', '/dx', true],
    ['[\\]]x', '/]x', true],
    ['\\*x', '/*x', true],
    ['\\*x', '/ax', false],
    ['a]b', '/a]b', true],
    ['foo', 'x/foo', true],
    ['/foo', 'foo', false],
  ])('%s on %s: %s', (pattern, path, expected) => {
    expect(match(pattern, path)).toBe(expected);
  });

  it('counts characters, and bytes where a name is not UTF-8', () => {
    expect(match('?', '/é')).toBe(true);
    expect(match('??', '/é')).toBe(false);
    expect(match('[à-ü]', '/é')).toBe(true);
    expect(match('[😀-😂]x', '/😁x')).toBe(true);
    expect(match('a?', '/a\udcff')).toBe(true);
    expect(match('a\udcff', '/a\udcff')).toBe(true);
    expect(match('[^x]', '/\udcff')).toBe(true);
    // Go skips single bytes behind a star: the last two bytes of the euro sign are two characters to it.
    expect(match('*??', '/€')).toBe(true);
    expect(match('??', '/€')).toBe(false);
    expect(match('*[^é]??', '/ébb')).toBe(true);
    // Leftmost choices are not revised, as in Go.
    expect(match('*??*a', '/€abc')).toBe(false);
  });

  it.each(['[', '[a', '[]', '[]a]', '[^]', '[a-]', '[-a]', 'x\\', '[\\', 'dir/[', '!['])('refuses %s', (pattern) => {
    const compile = (): unknown => compilePatterns(['fine', pattern]);
    expect(compile).toThrow(pattern);
    expect(compile).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });

  it('refuses a class of bytes that are not characters', () => {
    expect(() => compilePatterns(['[\udcff]'])).toThrow(EngineError);
  });

  it('refuses the empty path', () => {
    expect(() => match('a', '')).toThrow(RangeError);
  });
});

describe('a list', () => {
  it('lets the last match win', () => {
    const list = compilePatterns(['*.c', '!main.c', '', '/tmp/main.c']);
    expect(list.size).toBe(3);
    expect(list.matches('/src/a.c')).toBe(true);
    expect(list.matches('/src/main.c')).toBe(false);
    expect(list.matches('/tmp/main.c')).toBe(true);
  });

  it('matches nothing when empty', () => {
    expect(compilePatterns(['']).match('/a')).toEqual({ matched: false, childMayMatch: false });
  });

  it('tells whether children may match', () => {
    const below = (pattern: string, path: string): boolean => compilePatterns([pattern]).match(path).childMayMatch;
    expect(below('/a/b/c', '/a/b')).toBe(true);
    expect(below('/a/b/c', '/a/x')).toBe(false);
    expect(below('/a/*/c', '/a/x')).toBe(true);
    expect(below('/a/*/c', '/a/x/y')).toBe(false);
    expect(below('/a/**/c', '/a/x/y')).toBe(true);
    expect(below('c', '/a/x')).toBe(true);
    expect(below('/a', 'a')).toBe(false);
  });

  it('ignores case character by character', () => {
    const list = compilePatterns(['*.JPG', 'Straße', 'ΟΔΟΣ'], { ignoreCase: true });
    expect(list.matches('/a/photo.jpg')).toBe(true);
    expect(list.matches('/STRASSE')).toBe(false);
    expect(list.matches('/straße')).toBe(true);
    expect(list.matches('/οδοσ')).toBe(true);
    expect(list.matches('/οδος')).toBe(false);
  });

  it('agrees with the oracle, where every character is one byte', () => {
    const name = fc.stringMatching(/^[ab.]{1,4}$/).filter((text) => !/^\.+$/.test(text));
    const part = fc.oneof(name, fc.constant('**'), fc.stringMatching(/^([ab.*?]|\[\^?[ab]\]){1,4}$/));
    const cleanPart = part.filter((text) => !/^\.+$/.test(text));
    const pattern = fc
      .tuple(fc.constantFrom('', '', '/', '!', '!/'), fc.array(cleanPart, { minLength: 1, maxLength: 4 }))
      .map(([prefix, parts]) => prefix + parts.join('/'));
    const path = fc.array(name, { minLength: 1, maxLength: 5 }).map((names) => `/${names.join('/')}`);
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 5 }), path, (patterns, where) => {
        const list = compilePatterns(patterns);
        const expected = matchByOracle(patterns, where);
        expect(list.match(where)).toEqual(expected);
        expect(list.matches(where)).toBe(expected.matched);
      }),
      { numRuns: 20_000, interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  });

  it('stays quick with patterns that backtrack badly', () => {
    const list = compilePatterns(['*a*a*a*a*a*a*a*b', `${'**/x/'.repeat(30)}y`]);
    const start = performance.now();
    expect(list.matches(`/${'a'.repeat(250)}${'/x'.repeat(500)}`)).toBe(false);
    expect(performance.now() - start).toBeLessThan(500);
  });
});

describe('parsePatternFile', () => {
  const parse = (text: string, environment: Record<string, string> = {}): string[] =>
    parsePatternFile(new TextEncoder().encode(text), environment);

  it('drops blank lines, comments and outer space', () => {
    expect(parse('# comment\n\n  *.o \r\n\t # too\n\u00a0a b\u3000\n!keep')).toEqual(['*.o', 'a b', '!keep']);
  });

  it('expands variables as Go does', () => {
    const environment = { HOME: '/home/ann', A1: 'x', 'odd name': 'odd' };
    expect(parse('$HOME/tmp', environment)).toEqual(['/home/ann/tmp']);
    expect(parse('${HOME}2$A1-$A1b', environment)).toEqual(['/home/ann2x-']);
    expect(parse('a$$b', environment)).toEqual(['a$b']);
    expect(parse('${odd name}', environment)).toEqual(['odd']);
    expect(parse('$1x ${}y ${z $. $', environment)).toEqual(['x y z $. $']);
    expect(parse('a${constructor}$toString', environment)).toEqual(['a']);
  });

  it('knows byte order marks', () => {
    const utf16 = Buffer.from('\ufeff*.é\nb', 'utf16le');
    expect(parse('\ufeff*.o')).toEqual(['*.o']);
    expect(parsePatternFile(utf16, {})).toEqual(['*.é', 'b']);
    expect(parsePatternFile(Buffer.from(utf16).swap16(), {})).toEqual(['*.é', 'b']);
  });

  it('keeps bytes that are not UTF-8', () => {
    expect(parsePatternFile(Uint8Array.of(0x61, 0xff, 0x0a), {})).toEqual(['a\udcff']);
  });
});
