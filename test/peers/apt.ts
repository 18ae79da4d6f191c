import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './run.ts';

/** One place the machine gets Debian packages from. */
interface Source {
  readonly uris: string;
  /** The value of `Signed-By`: a keyring's path or an armored key; absent: what apt trusts anyway. */
  readonly signedBy?: string;
}

const SOURCES = '/etc/apt/sources.list.d';

/** The stanzas of a deb822 `.sources` file as records; a continuation line keeps its line break. */
function stanzasOf(text: string): Map<string, string>[] {
  return text.split(/\n\s*\n/).map((stanza) => {
    const fields = new Map<string, string>();
    let last = '';
    for (const line of stanza.split('\n').filter((each) => !each.startsWith('#'))) {
      const field = /^([A-Za-z-]+):[ \t]*(.*)$/.exec(line);
      if (field?.[1] !== undefined) {
        last = field[1].toLowerCase();
        fields.set(last, field[2] ?? '');
      } else if (last) fields.set(last, `${fields.get(last) ?? ''}\n${line}`);
    }
    return fields;
  });
}

const words = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter(Boolean);

function deb822Sources(text: string, codename: string): Source[] {
  return stanzasOf(text)
    .filter((fields) => {
      const isDebian =
        words(fields.get('suites')).includes(codename) && words(fields.get('components')).includes('main');
      return isDebian && words(fields.get('types')).includes('deb') && fields.get('enabled') !== 'no';
    })
    .map((fields) => source(words(fields.get('uris')).join(' '), fields.get('signed-by')));
}

function oneLineSources(text: string, codename: string): Source[] {
  return text.split('\n').flatMap((line) => {
    const [, options, uri, suite, components] =
      /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line.trim()) ?? [];
    if (uri === undefined || suite !== codename || !words(components).includes('main')) return [];
    return [source(uri, /(?:^|\s)signed-by=(\S+)/i.exec(options ?? '')?.[1])];
  });
}

function source(uris: string, signedBy: string | undefined): Source {
  return signedBy === undefined ? { uris } : { uris, signedBy };
}

/**
 * Where this machine gets Debian itself from: the source whose suite is the release's own code name. Third parties use
 * the code name as a suite too (Docker does), but not with the component `main`; among several the one that is called
 * "debian" is taken.
 */
export function debianSource(lists: ReadonlyMap<string, string>, codename: string): Source | undefined {
  const all = [...lists].flatMap(([name, text]) =>
    name.endsWith('.sources') ? deb822Sources(text, codename) : oneLineSources(text, codename),
  );
  return all.find(({ uris }) => /\/debian\/?(?:\s|$)/.test(uris)) ?? all[0];
}

async function readOptional(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

async function machineLists(): Promise<Map<string, string>> {
  const lists = new Map([['sources.list', await readOptional('/etc/apt/sources.list')]]);
  const names = await readdir(SOURCES).catch((): string[] => []);
  for (const name of names.filter((each) => /\.(?:list|sources)$/.test(each))) {
    lists.set(name, await readOptional(join(SOURCES, name)));
  }
  return lists;
}

async function codename(): Promise<string> {
  const release = await readOptional('/etc/os-release');
  const name = /^VERSION_CODENAME=(\S+)$/m.exec(release)?.[1];
  if (name === undefined || !/^ID=debian$/m.test(release)) throw new Error('this machine does not run Debian');
  return name;
}

/** The releases of Debian that programs are taken from. */
export type Suite = 'sid' | 'bookworm';

/**
 * Downloads packages of one Debian release into `folder` without touching the system's apt: own source list, own package
 * lists, own cache, no root needed. apt checks signatures and hashes, so what arrives is what Debian built.
 *
 * With `libraries`, the libraries these packages depend on come too, as far as the system does not have them. Rejects
 * when the machine is not a Debian, is offline, or a package is missing.
 */
export async function download(
  suite: Suite,
  packages: readonly string[],
  folder: string,
  { libraries }: { readonly libraries: boolean },
): Promise<void> {
  const options = await readLists(suite, 'deb', folder);
  const others = libraries ? await missingLibraries(packages, options, folder) : [];
  await run('apt-get', [...options, '-qq', 'download', ...packages, ...others], 300, folder);
}

/** Downloads a source package, and packages that are needed to build it, in the same way as {@link download} does. */
export async function downloadSource(
  suite: Suite,
  source: string,
  tools: readonly string[],
  folder: string,
): Promise<void> {
  const options = await readLists(suite, 'deb deb-src', folder);
  await run('apt-get', [...options, '-qq', 'download', ...tools], 300, folder);
  await run('apt-get', [...options, '-qq', 'source', '--download-only', source], 300, folder);
}

/** Reads the lists of a release into `folder`; resolves with the options by which apt finds them there. */
async function readLists(suite: Suite, types: string, folder: string): Promise<string[]> {
  const debian = debianSource(await machineLists(), await codename());
  if (debian === undefined) throw new Error("no source of Debian's packages in /etc/apt");
  const list = join(folder, `${suite}.sources`);
  const signedBy = debian.signedBy === undefined ? '' : `Signed-By: ${debian.signedBy}\n`;
  await writeFile(list, `Types: ${types}\nURIs: ${debian.uris}\nSuites: ${suite}\nComponents: main\n${signedBy}`);
  await mkdir(join(folder, 'lists', 'partial'), { recursive: true });
  await mkdir(join(folder, 'archives', 'partial'), { recursive: true });
  const options = [
    `Dir::Etc::sourcelist=${list}`,
    'Dir::Etc::sourceparts=-',
    `Dir::State::Lists=${join(folder, 'lists')}`,
    `Dir::Cache=${folder}`,
    'APT::Sandbox::User=root',
    'Acquire::Languages=none',
    'Acquire::Retries=1',
    'Acquire::http::Timeout=20',
    'Acquire::https::Timeout=20',
    'APT::Update::Error-Mode=any',
  ].flatMap((option) => ['-o', option]);
  await run('apt-get', [...options, '-qq', 'update'], 180, folder);
  return options;
}

/**
 * The libraries that installing `packages` would bring along; apt only pretends to do it. Never the C library: it must
 * be the one of the system's dynamic loader.
 */
async function missingLibraries(
  packages: readonly string[],
  options: readonly string[],
  folder: string,
): Promise<string[]> {
  const pretend = [...options, '-qq', '--simulate', '--no-install-recommends', 'install', ...packages];
  const lines = (await run('apt-get', pretend, 60, folder)).split('\n');
  return lines.flatMap((line) => /^Inst (lib(?!c6\b)\S+)/.exec(line)?.[1] ?? []);
}
