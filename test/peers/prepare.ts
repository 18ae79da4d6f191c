// `pnpm peers`: gets every program the tests measure against and says which versions they are.
import { findPeer } from './find.ts';
import { PEERS, peerNames } from './table.ts';

let missing = 0;
for (const name of peerNames) {
  const finding = await findPeer(name, { patient: true });
  const label = name.padEnd(12);
  if (finding.peer !== undefined) {
    console.log(`${label} ${finding.peer.version.padEnd(8)} ${finding.peer.path} (${finding.from})`);
  } else {
    missing += 1;
    console.log(`${label} missing  ${PEERS[name].purpose}: ${finding.reasons.join('; ')}`);
  }
}
if (missing > 0 && process.env['CI'] === 'true') process.exitCode = 1;
