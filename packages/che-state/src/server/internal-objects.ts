/** The objects of the internal backup server. */
import { DEPLOYMENT } from '../objects/kinds.ts';
import type { Json, KubeObject } from '../objects/object.ts';
import { PART_OF_BACKUP, typeOf } from './put.ts';

export const INTERNAL = {
  /** Not the old name, `backup-rest-server-deployment`: today's Che operator removes that one whenever it looks. */
  deployment: 'backup-rest-server',
  service: 'backup-rest-server-service',
  configuration: 'backup-rest-server-configuration',
  password: 'backup-rest-server-repo-password',
  login: 'backup-rest-server-credentials',
  data: 'backup-rest-server-data',
  repositoryPath: 'che',
  user: 'che',
  port: 8000,
} as const;

/** The key of the login's Secret that the server reads. */
export const HTPASSWD = 'htpasswd';

export interface InternalServerShape {
  readonly namespace: string;
  readonly flavor: string;
  readonly image: string;
  /** OpenShift gives a namespace its users and groups; elsewhere they must be named for the volume to be writable. */
  readonly openShift: boolean;
}

const COMPONENT: Readonly<Record<string, string>> = {
  'app.kubernetes.io/component': 'che-backup-internal-rest-server',
  'app.kubernetes.io/managed-by': 'che-backup',
  ...PART_OF_BACKUP,
};

/** The labels of everything the server consists of. */
export function labelsOf(flavor: string): Readonly<Record<string, string>> {
  return {
    'app.kubernetes.io/name': flavor,
    'app.kubernetes.io/instance': flavor,
    ...COMPONENT,
  };
}

/** Of its pods alone: without the flavor, which must not change, and not those of the old server. */
const SELECTOR: Readonly<Record<string, string>> = { 'backup.che.eclipse.org/server': 'internal' };

export const SERVICE_SPEC: { readonly [name: string]: Json } = {
  selector: SELECTOR,
  ports: [
    {
      name: 'backup-rest-server-service-port',
      protocol: 'TCP',
      port: INTERNAL.port,
      targetPort: 'rest',
    },
  ],
};

export function claimSpec(size: string, storageClass: string | undefined): { readonly [name: string]: Json } {
  return {
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: size } },
    ...(storageClass !== undefined && { storageClassName: storageClass }),
  };
}

export function configurationSpec(namespace: string): { readonly rest: Readonly<Record<string, string | number>> } {
  return {
    rest: {
      protocol: 'http',
      hostname: `${INTERNAL.service}.${namespace}.svc`,
      port: INTERNAL.port,
      repositoryPath: INTERNAL.repositoryPath,
      repositoryPasswordSecretRef: INTERNAL.password,
      credentialsSecretRef: INTERNAL.login,
    },
  };
}

export function deployment({ namespace, flavor, image, openShift }: InternalServerShape): KubeObject {
  const podSecurity = { runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, seccompProfile: { type: 'RuntimeDefault' } };
  return {
    ...typeOf(DEPLOYMENT),
    metadata: { name: INTERNAL.deployment, namespace, labels: labelsOf(flavor) },
    spec: {
      replicas: 1,
      // Its volume belongs to one pod at a time.
      strategy: { type: 'Recreate' },
      selector: { matchLabels: SELECTOR },
      template: {
        // Pods are made anew for each change here, so it must not depend on who asks.
        metadata: { labels: { ...COMPONENT, ...SELECTOR } },
        spec: {
          automountServiceAccountToken: false,
          securityContext: { runAsNonRoot: true, ...(!openShift && podSecurity) },
          containers: [container(image)],
          volumes: [
            { name: 'data', persistentVolumeClaim: { claimName: INTERNAL.data } },
            { name: 'users', secret: { secretName: INTERNAL.login, items: [{ key: HTPASSWD, path: HTPASSWD }] } },
          ],
        },
      },
    },
  };
}

function container(image: string): Json {
  const probe = { tcpSocket: { port: 'rest' }, timeoutSeconds: 5 };
  return {
    name: 'backup-rest-server-pod',
    image,
    command: ['restic-engine'],
    args: [
      'serve',
      '--path',
      '/data',
      '--listen',
      `:${INTERNAL.port}`,
      '--htpasswd-file',
      `/etc/backup-users/${HTPASSWD}`,
    ],
    ports: [{ name: 'rest', containerPort: INTERNAL.port, protocol: 'TCP' }],
    startupProbe: { ...probe, periodSeconds: 2, failureThreshold: 60 },
    readinessProbe: { ...probe, periodSeconds: 10 },
    livenessProbe: { ...probe, periodSeconds: 30, failureThreshold: 5 },
    resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'data', mountPath: '/data' },
      { name: 'users', mountPath: '/etc/backup-users', readOnly: true },
    ],
  };
}
