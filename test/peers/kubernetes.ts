/** How the API server of Kubernetes is built: in half the time that its own makefile takes, and with the same API. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { run } from './run.ts';
import type { BuildFacts, BuildPlaces } from './table.ts';

const SELF = 'k8s.io/kubernetes';
const SECONDS = 1800;

export const KUBE_APISERVER: BuildFacts = {
  tools: ['golang-1.19-go', 'golang-1.19-src'],
  async build({ tarball, tools, work, program }) {
    const gopath = join(work, 'gopath');
    const source = join(gopath, 'src', SELF);
    await mkdir(source, { recursive: true });
    await run('tar', ['-xf', tarball, '-C', source, '--strip-components=1'], SECONDS);
    await suitGo118(source);
    const goroot = join(tools, 'usr/lib/go-1.19');
    const env = {
      GOROOT: goroot,
      GOPATH: gopath,
      GOCACHE: join(work, 'cache'),
      GOENV: 'off',
      GO111MODULE: 'off',
      CGO_ENABLED: '0',
      // Without the clouds' own drivers, which would be a third of the work and half of the program.
      GOFLAGS: '-tags=providerless,dockerless',
      // The compiler collects its garbage less often.
      GOGC: '400',
      PATH: `${join(goroot, 'bin')}:${process.env['PATH'] ?? ''}`,
    };
    const go = (...args: string[]): Promise<string> => run(join(goroot, 'bin/go'), args, SECONDS, source, env);
    const generator = join(work, 'openapi-gen');
    await go('build', '-o', generator, './vendor/k8s.io/kube-openapi/cmd/openapi-gen');
    await generateOpenApi(source, (args) => run(generator, args, SECONDS, source, env));
    const settings = ['component-base/version', 'client-go/pkg/version'].flatMap((path) =>
      versionSettings(`${SELF}/vendor/k8s.io/${path}`, versionOf(tarball)),
    );
    const flags = ['-s', '-w', ...settings];
    await go('build', '-ldflags', flags.join(' '), '-o', program, './cmd/kube-apiserver');
  },
};

/** The version that is built: Debian calls 1.20.2 `1.20.5+really1.20.2`. */
function versionOf(tarball: BuildPlaces['tarball']): string {
  const version = /(\d+\.\d+\.\d+)\.orig/.exec(basename(tarball))?.[1];
  if (version === undefined) throw new Error(`${basename(tarball)} names no version`);
  return version;
}

/**
 * Go 1.18 changed how a program outside of the runtime walks through a map; this Kubernetes has modern-go/reflect2 1.0.1,
 * which walks the old way and crashes the server at the first custom object. 1.0.2 does what is done here.
 */
async function suitGo118(source: string): Promise<void> {
  const folder = join(source, 'vendor/github.com/modern-go/reflect2');
  const change = async (file: string, changes: readonly (readonly [string, string])[]): Promise<void> => {
    let text = await readFile(join(folder, file), 'utf8');
    for (const [before, after] of changes) {
      if (!text.includes(before)) throw new Error(`${file} of reflect2 is not as expected`);
      text = text.replace(before, after);
    }
    await writeFile(join(folder, file), text);
  };
  const state =
    't, h, buckets, bptr, overflow, oldoverflow unsafe.Pointer; startBucket uintptr; bits [4]uint8; rest [2]uintptr';
  await change('unsafe_link.go', [
    ['mapiterinit(rtype unsafe.Pointer, m unsafe.Pointer) *hiter', 'mapiterinit(rtype, m unsafe.Pointer, it *hiter)'],
    ['\t// rest fields are ignored', `\t${state}`],
  ]);
  await change('unsafe_map.go', [
    [
      'return &UnsafeMapIterator{',
      'it := new(hiter)\n\tmapiterinit(type2.rtype, *(*unsafe.Pointer)(obj), it)\n\treturn &UnsafeMapIterator{',
    ],
    ['mapiterinit(type2.rtype, *(*unsafe.Pointer)(obj)),\n\t\tpKey', 'it,\n\t\tpKey'],
  ]);
}

/** What the linker writes into a package that tells versions. */
function versionSettings(path: string, version: string): string[] {
  const [major, minor] = version.split('.');
  const values = { gitVersion: `v${version}`, gitMajor: major, gitMinor: minor };
  return Object.entries(values).map(([name, value]) => `-X ${path}.${name}=${value}`);
}

const TAG = /^\/\/ *\+k8s:openapi-gen=/m;
const FOR_ALL = /^vendor\/k8s\.io\/apimachinery\/pkg\/(?:apis\/meta\/v1|runtime|version)$/;

/** The three descriptions of types that the sources lack, each with the packages that it describes. */
const DESCRIPTIONS: readonly { readonly target: string; readonly includes: (folder: string) => boolean }[] = [
  {
    target: 'pkg/generated/openapi',
    includes: (folder) => !/^vendor\/k8s\.io\/(?:code-generator|sample-apiserver)\//.test(folder),
  },
  {
    target: 'staging/src/k8s.io/apiextensions-apiserver/pkg/generated/openapi',
    includes: (folder) => FOR_ALL.test(folder) || folder === 'vendor/k8s.io/api/autoscaling/v1',
  },
  {
    target: 'staging/src/k8s.io/kube-aggregator/pkg/generated/openapi',
    includes: (folder) => FOR_ALL.test(folder) || folder.startsWith('vendor/k8s.io/kube-aggregator/'),
  },
];

async function generateOpenApi(source: string, generate: (args: readonly string[]) => Promise<string>): Promise<void> {
  const folders = await taggedFolders(source);
  for (const { target, includes } of DESCRIPTIONS) {
    const packages = folders.filter(includes).map((folder) => `${SELF}/${folder}`);
    await generate([
      `--input-dirs=${packages.join(',')}`,
      `--output-package=${SELF}/${target}`,
      '--output-file-base=zz_generated.openapi',
      '--report-filename=/dev/null',
      '--go-header-file=vendor/k8s.io/code-generator/hack/boilerplate.go.txt',
    ]);
  }
}

/** The packages whose types are to be described, as imported: those of `staging/src` by way of `vendor`. */
async function taggedFolders(source: string): Promise<string[]> {
  const found = new Set<string>();
  for (const root of ['staging/src', 'pkg', 'plugin', 'cmd']) {
    for (const path of await readdir(join(source, root), { recursive: true })) {
      if (!path.endsWith('.go') || !TAG.test(await readFile(join(source, root, path), 'utf8'))) continue;
      found.add(join(root === 'staging/src' ? 'vendor' : root, dirname(path)));
    }
  }
  return [...found].sort();
}
