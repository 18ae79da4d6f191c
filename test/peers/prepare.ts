// `pnpm peers`: gets every program the tests measure against and says which versions they are. A missing one is no
// failure here: the tests that need it are skipped, or fail with CI=true.
import { findPeer } from './find.ts';
import { PEERS, peerNames } from './table.ts';

for (const name of peerNames) {
  const finding = await findPeer(name, { patient: true });
  const label = name.padEnd(12);
  if (finding.peer !== undefined) {
    console.log(`${label} ${finding.peer.version.padEnd(8)} ${finding.peer.path} (${finding.from})`);
  } else {
    console.log(`${label} missing  ${PEERS[name].purpose}: ${finding.reasons.join('; ')}`);
  }
}
