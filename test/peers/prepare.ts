// `pnpm peers`: gets every program the tests measure against and says which versions they are. A missing one is no
// failure here: the tests that need it are skipped, or fail with CI=true.
import { findPeer } from './find.ts';
import { PEERS, peerNames } from './table.ts';

const started = performance.now();
const findings = peerNames.map(async (name) => {
  const finding = await findPeer(name, { patient: true });
  return { name, finding, seconds: Math.round((performance.now() - started) / 1000) };
});

for (const { name, finding, seconds } of await Promise.all(findings)) {
  const label = name.padEnd(14);
  if (finding.peer !== undefined) {
    const { version, path } = finding.peer;
    const from = finding.from === 'Debian' ? `Debian, ${seconds} s` : finding.from;
    console.log(`${label} ${version.padEnd(8)} ${path} (${from})`);
  } else {
    console.log(`${label} missing  ${PEERS[name].purpose}: ${finding.reasons.join('; ')}`);
  }
}
