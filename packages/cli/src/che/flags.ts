/** The flags every command of che-backup takes, before it or after it. */
import type { GlobalFlag } from '../global-flag.ts';

/** What the command line says, before the environment has its word. */
export interface CheFlags {
  chenamespace?: string;
  kubeconfig?: string;
  context?: string;
  json?: boolean;
  quiet?: boolean;
}

export const CHE_FLAGS: readonly GlobalFlag<CheFlags>[] = [
  {
    flags: '-n, --chenamespace <namespace>',
    description:
      'namespace of the CheCluster (default: $CHE_NAMESPACE; the one with the only CheCluster; eclipse-che or che, whichever exists)',
    apply: (flags, value) => void (flags.chenamespace = value),
  },
  {
    flags: '--kubeconfig <file>',
    description: 'how to reach the cluster (default: $KUBECONFIG, ~/.kube/config, or that of the pod this runs in)',
    apply: (flags, value) => void (flags.kubeconfig = value),
  },
  {
    flags: '--context <name>',
    description: 'context of the kubeconfig (default: its current one)',
    apply: (flags, value) => void (flags.context = value),
  },
  {
    flags: '--json',
    description: 'print messages as JSON, one a line',
    apply: (flags) => void (flags.json = true),
  },
  {
    flags: '-q, --quiet',
    description: 'print results only',
    apply: (flags) => void (flags.quiet = true),
  },
];
