/** One installation of Che in a cluster. */
import type { ClusterCall } from '../cluster/cluster.ts';
import type { KubeObject } from '../objects/object.ts';

export type Infrastructure = 'Kubernetes' | 'Openshift 3' | 'Openshift 4';

export interface Installation {
  /** `v2`: DevWorkspaces; `v1`: Che up to 7.42 and CodeReady Workspaces 2, with databases. */
  readonly generation: 'v1' | 'v2';
  /** As the API has it, status included. */
  readonly cheCluster: KubeObject;
  readonly namespace: string;
  /** `che`, or `codeready`, `devspaces` downstream: labels and names of objects begin with it. */
  readonly flavor: string;
  /** `status.cheVersion`; undefined while Che is not installed yet. */
  readonly cheVersion: string | undefined;
  readonly infrastructure: Infrastructure;
  /** The domain below which routes or ingresses are made; '' when it is not known. */
  readonly appsDomain: string;
  /** The uid of the namespace `kube-system`, which is what identifies a cluster. */
  readonly clusterUid: string;
  readonly kubernetesVersion: string;
}

export interface FindInstallationOptions extends ClusterCall {
  /** Default: the namespace with the only CheCluster of the cluster, as far as one may look. */
  readonly namespace?: string | undefined;
}
