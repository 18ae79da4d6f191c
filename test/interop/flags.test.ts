// Whoever knows restic's command line finds all of it here: each command, each flag, each letter.
import { expect, it } from 'vitest';
import { buildProgram } from '../../packages/cli/src/program.ts';
import { allCommands, outlineProgram } from '../../packages/cli/src/manual/outline.ts';
import type { FlagOutline } from '../../packages/cli/src/manual/outline.ts';
import { describeWithPeer } from '../peers/peers.ts';
import { resticAt } from '../support/restic.ts';

/** What restic has and this program does not, and why. A line that is not needed any more fails. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  'mount --allow-other': 'a flag of FUSE, which mount does without',
  'mount --no-default-permissions': 'a flag of FUSE',
  'mount --owner-root': 'a flag of FUSE, and WebDAV has no owners',
};

interface Flag {
  readonly letter: string | undefined;
  readonly name: string;
  readonly takesValue: boolean;
}

interface Help {
  readonly commands: readonly string[];
  readonly flags: readonly Flag[];
}

/** What restic's help of a command lists; the flags of every command only where `global`. */
function readHelp(text: string, global: boolean): Help {
  const [own = '', inherited = ''] = text.split(/^Global Flags:$/m);
  const lines = (global ? inherited || own : own).split('\n');
  const commands = own.split('\n').flatMap((line) => /^ {2}([a-z-]+) {2,}\S/.exec(line)?.[1] ?? []);
  const flags = lines.flatMap((line): Flag[] => {
    const [all, letter, name = '', value] = /^ {2,6}(?:-(\w), )?--([a-z-]+)(?: (\S+))? {2,}\S/.exec(line) ?? [];
    return all === undefined ? [] : [{ letter, name, takesValue: value !== undefined }];
  });
  return { commands, flags };
}

const IGNORED = new Set(['help']);

await describeWithPeer('restic', 'the command line', (peer) => {
  it('has all of restic', async () => {
    const restic = resticAt(peer, { repo: '/nonexistent' });
    const outline = outlineProgram(await buildProgram(['generate'], {}, () => expect.unreachable()));
    const ours = new Map(allCommands(outline.program).map((command) => [command.words.join(' '), command]));
    const missing: string[] = [];
    const compare = (where: string, flags: readonly FlagOutline[], theirs: readonly Flag[]): void => {
      for (const { letter, name, takesValue } of theirs) {
        const found = flags.find(({ long }) => long === `--${name}`);
        if (found === undefined) missing.push(`${where} --${name}`);
        else if ((found.value !== undefined) !== takesValue) missing.push(`${where} --${name} (value)`);
        else if (letter !== undefined && found.short !== `-${letter}`) missing.push(`${where} -${letter}`);
      }
    };
    const visit = async (words: readonly string[]): Promise<number> => {
      const where = words.join(' ');
      const own = ours.get(where);
      if (own === undefined) {
        missing.push(where);
        return 0;
      }
      const text = await restic.ok([...words, '--help']);
      const { commands, flags } = readHelp(text, false);
      if (words.length === 0)
        compare(
          '',
          outline.globalFlags,
          readHelp(text, true).flags.filter(({ name }) => name !== 'help'),
        );
      else compare(where, own.flags, flags);
      const counts = await Promise.all(
        commands.filter((name) => !IGNORED.has(name)).map((name) => visit([...words, name])),
      );
      return counts.reduce((sum, count) => sum + count, flags.length);
    };
    // Fewer means that restic's help was not understood.
    expect(await visit([])).toBeGreaterThan(250);
    expect(missing.toSorted()).toEqual(Object.keys(EXCEPTIONS).toSorted());
  });
});
