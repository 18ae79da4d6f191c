import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { localTargets, planTargets, type TargetNode, type TargetPlan } from '../src/source/fs/targets.ts';
import { makeTempDir } from './temp-dir.ts';

/** The tree that the behaviour of restic 0.19.1 was observed with; `w` is the working directory. */
const FILES = ['w/x/f1', 'x/f2', 'home/a/f5', 'w/rel/b/f4', 'w/rel/c/f6', 'c/f3'];

function populate(root: string): void {
  for (const file of FILES) {
    mkdirSync(dirname(`${root}/${file}`), { recursive: true });
    writeFileSync(`${root}/${file}`, '');
  }
}

/** `name=source` for leaves, with `!` if explicit; `name(metadata)/…` for directories. Sources without the root. */
function outline(nodes: readonly TargetNode[], root: string): string[] {
  const short = (path: string): string => (path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path);
  return nodes.flatMap((node) => {
    if (node.kind === 'leaf') return [`${node.name}=${short(node.path)}${node.explicit ? '!' : ''}`];
    return outline(node.children, root).map((line) => `${node.name}(${short(node.path)})/${line}`);
  });
}

function planIn(root: string, targets: readonly string[]): { tree: string[]; plan: TargetPlan } {
  const plan = planTargets(targets, localTargets(`${root}/w`));
  return { tree: outline(plan.children, root), plan };
}

describe('planTargets', () => {
  it.each<[string, string[], string[], string[]]>([
    ['a name from two places', ['x', '../x'], ['x=w/x!', 'x-1=x!'], ['w/x', 'x']],
    ['the working directory', ['.'], ['rel=w/rel', 'x=w/x'], ['w']],
    ['the directory above', ['..'], ['c=c', 'home=home', 'w=w', 'x=x'], ['']],
    [
      'a target inside another',
      ['rel', 'rel/b'],
      ['rel(w/rel)/b=w/rel/b!', 'rel(w/rel)/c=w/rel/c'],
      ['w/rel', 'w/rel/b'],
    ],
    [
      'the same in the other order',
      ['rel/b', 'rel'],
      ['rel(w/rel)/b=w/rel/b!', 'rel(w/rel)/c=w/rel/c'],
      ['w/rel/b', 'w/rel'],
    ],
    ['a target three times', ['x', 'x', './x'], ['x=w/x!'], ['w/x', 'w/x', 'w/x']],
    ['a file', ['x/f1'], ['x(w/x)/f1=w/x/f1!'], ['w/x/f1']],
    ['relative parents', ['rel/b', '../c'], ['c=c!', 'rel(w/rel)/b=w/rel/b!'], ['w/rel/b', 'c']],
    ['a path through a parent', ['../home/../home/a'], ['home(home)/a=home/a!'], ['home/a']],
    ['an entry named before and after its directory', ['x', '.'], ['rel=w/rel', 'x=w/x!'], ['w/x', 'w']],
    ['the other way round', ['.', 'x'], ['rel=w/rel', 'x=w/x'], ['w', 'w/x']],
  ])('%s', (_title, targets, tree, paths) => {
    using temp = makeTempDir();
    populate(temp.path);
    const planned = planIn(temp.path, targets);
    expect(planned.tree).toEqual(tree);
    expect(planned.plan.paths).toEqual(paths.map((path) => (path === '' ? temp.path : `${temp.path}/${path}`)));
    expect(planned.plan.missing).toEqual([]);
  });

  it('keeps every component of absolute targets', () => {
    using temp = makeTempDir();
    populate(temp.path);
    const { plan } = planIn(temp.path, [`${temp.path}/home/a/`, 'rel/b']);
    const absolute = temp.path.slice(1).split('/');
    let nodes = plan.children;
    for (const [depth, name] of absolute.entries()) {
      const node = nodes.find((candidate) => candidate.name === name);
      expect(node).toMatchObject({ kind: 'directory', path: `/${absolute.slice(0, depth + 1).join('/')}` });
      nodes = node?.kind === 'directory' ? node.children : [];
    }
    expect(outline(nodes, temp.path)).toEqual(['home(home)/a=home/a!']);
    expect(plan.paths).toEqual([`${temp.path}/home/a`, `${temp.path}/w/rel/b`]);
  });

  it('reports targets that are not there', () => {
    using temp = makeTempDir();
    populate(temp.path);
    const { tree, plan } = planIn(temp.path, ['x', '/nonexistent', '', 'x/f1/below']);
    expect(tree).toEqual(['x=w/x!']);
    expect(plan.paths).toEqual([`${temp.path}/w/x`]);
    expect(plan.missing.map(({ target, problem }) => [target, problem.code])).toEqual([
      ['/nonexistent', 'not-found'],
      ['', 'not-found'],
      ['x/f1/below', 'not-found'],
    ]);
  });

  it('keeps a dangling link and follows one above a target', () => {
    using temp = makeTempDir();
    populate(temp.path);
    symlinkSync('nowhere', `${temp.path}/w/dangling`);
    symlinkSync('../home', `${temp.path}/w/link`);
    expect(planIn(temp.path, ['dangling', 'link/a', 'link']).tree).toEqual([
      'dangling=w/dangling!',
      'link(w/link)/a=w/link/a!',
    ]);
  });

  it('never gives a name twice', () => {
    const plan = planTargets(['../x', 'x-1', 'x', '../../x', '../x/y'], {
      cwd: '/t/v/w',
      lstat: () => undefined,
      list: () => ['y', 'z'],
    });
    expect(outline(plan.children, '/t')).toEqual([
      'x(v/x)/y=v/x/y!',
      'x(v/x)/z=v/x/z',
      'x-1=v/w/x-1!',
      'x-2=v/w/x!',
      'x-3=x!',
    ]);
  });

  it('orders names by bytes', () => {
    const names = ['\u{10000}', '\uff01', 'b', '\udcff', 'a'];
    const plan = planTargets(['/'], { cwd: '/', lstat: () => undefined, list: () => names });
    expect(plan.children.map((node) => node.name)).toEqual(['a', 'b', '\uff01', '\u{10000}', '\udcff']);
    expect(plan.children.every((node) => node.kind === 'leaf' && !node.explicit)).toBe(true);
    expect(plan.paths).toEqual(['/']);
  });

  it('says which directory could not be listed', () => {
    const failing = { cwd: '/t', lstat: () => undefined, list: () => fail('EACCES') };
    expect(() => planTargets(['.'], failing)).toThrow(expect.objectContaining({ code: 'denied' }));
  });
});

function fail(code: string): never {
  throw Object.assign(new Error(`${code}: refused`), { code, syscall: 'scandir' });
}
