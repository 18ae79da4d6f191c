/** What is in the namespace of a user. */
import type { Json, KubeObject, ObjectMeta } from '@restic-engine/che-state';
import { KIND } from '../crds/kinds.ts';
import { configMap, component, derived, objectOf, saved, secret, volumeClaim, type Made } from './che-objects.ts';

export interface UserOptions {
  readonly cheNamespace: string;
  readonly workspaces: number;
}

type Meta = Partial<ObjectMeta>;

const MOUNT = 'controller.devfile.io/mount-to-devworkspace';
const WATCH_SECRET = { 'controller.devfile.io/watch-secret': 'true' };

export function userNamespace(namespace: string, { cheNamespace, workspaces }: UserOptions): Made[] {
  const user = namespace.replace(/-che$/, '');
  const here: Meta = { namespace };
  const mounted = { [MOUNT]: 'true', ...WATCH_SECRET };
  const annotations = { 'controller.devfile.io/mount-path': '/etc/mounted', 'controller.devfile.io/mount-as': 'file' };
  const numbers = Array.from({ length: workspaces }, (_, at) => at + 1);
  return [
    saved(
      objectOf(KIND.namespace, namespace, {
        labels: component('workspaces-namespace'),
        annotations: { 'che.eclipse.org/username': user },
      }),
    ),
    saved(
      secret(
        'git-credentials',
        { namespace, labels: { 'controller.devfile.io/git-credential': 'true', ...WATCH_SECRET } },
        ['credentials'],
      ),
    ),
    saved(secret('git-ssh-key', { namespace, labels: mounted, annotations }, ['dwo_ssh_key', 'passphrase'])),
    saved(
      secret(
        'personal-access-token',
        {
          namespace,
          labels: component('scm-personal-access-token'),
          annotations: { 'che.eclipse.org/che-userid': `uid-${user}`, 'che.eclipse.org/scm-url': 'https://github.com' },
        },
        ['token'],
      ),
    ),
    saved(secret('mounted', { namespace, labels: mounted, annotations }, ['token'])),
    saved(
      secret(
        'pull',
        { namespace, labels: { 'controller.devfile.io/devworkspace_pullsecret': 'true' } },
        ['.dockercfg'],
        'kubernetes.io/dockercfg',
      ),
    ),
    saved(secret('user-profile', here, ['name', 'email'])),
    saved(
      configMap('mounted', { namespace, labels: { [MOUNT]: 'true' }, annotations }, { 'a.txt': 'ä\n', 'b.txt': 'yes' }),
    ),
    saved(
      configMap(
        'git-tls',
        { namespace, labels: { 'controller.devfile.io/git-tls-credential': 'true' } },
        { host: 'git' },
      ),
    ),
    saved(volumeClaim('claim-devworkspace', here)),
    saved(
      objectOf(KIND.role, 'for-a-colleague', here, {
        rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
      }),
    ),
    saved(
      objectOf(KIND.roleBinding, 'for-a-colleague', here, {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'for-a-colleague' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'colleague' }],
      }),
    ),
    saved(objectOf(KIND.networkPolicy, 'closed', here, { spec: { podSelector: {}, policyTypes: ['Ingress'] } })),
    saved(objectOf(KIND.limitRange, 'limits', here, { spec: { limits: [{ type: 'Pod', max: { memory: '8Gi' } }] } })),
    saved(objectOf(KIND.resourceQuota, 'quota', here, { spec: { hard: { 'limits.cpu': '16' } } })),
    ...numbers.flatMap((number) => workspace(namespace, cheNamespace, number)),
    ...derivedOfUser(namespace),
  ];
}

function workspace(namespace: string, cheNamespace: string, number: number): Made[] {
  const name = `workspace-${number}`;
  const owner = { apiVersion: 'workspace.devfile.io/v1alpha2', kind: 'DevWorkspace', name, uid: '' };
  const theirs: Meta = { namespace, ownerReferences: [owner] };
  const id = { 'controller.devfile.io/devworkspace_id': `${namespace}-${number}` };
  return [
    saved(devWorkspace(namespace, name, cheNamespace, number)),
    saved(
      objectOf(KIND.devWorkspaceTemplate, `editor-${number}`, theirs, {
        spec: { components: [container('editor', number)] },
      }),
    ),
    derived(objectOf(KIND.devWorkspaceRouting, `routing-${number}`, { ...theirs, labels: id }, { spec: {} })),
    derived(configMap(`${name}-metadata`, { ...theirs, labels: id }, { 'flattened.yaml': 'schemaVersion: 2.3.0\n' })),
  ];
}

function devWorkspace(namespace: string, name: string, cheNamespace: string, number: number): KubeObject {
  const spec: Readonly<Record<string, Json>> = {
    started: number % 2 === 0,
    routingClass: 'che',
    contributions: [{ name: 'editor', kubernetes: { name: `editor-${number}` } }],
    template: {
      attributes: {
        'controller.devfile.io/storage-type': 'per-user',
        'controller.devfile.io/devworkspace-config': { name: 'devworkspace-config', namespace: cheNamespace },
      },
      components: [container('tools', number)],
      commands: [
        { id: 'build', exec: { component: 'tools', commandLine: 'mvn package', workingDir: '${PROJECT_SOURCE}' } },
      ],
      projects: [{ name: 'project', git: { remotes: { origin: `https://git.example/${namespace}/${number}.git` } } }],
    },
  };
  const annotations = {
    'che.eclipse.org/che-editor': 'che-incubator/che-code/latest',
    'controller.devfile.io/started-at': '1700000000000',
  };
  const labels = { 'controller.devfile.io/creator': `uid-of-${namespace}` };
  return objectOf(KIND.devWorkspace, name, { namespace, labels, annotations }, { spec });
}

function container(name: string, number: number): Json {
  const env = Array.from({ length: 10 }, (_, at) => ({ name: `VARIABLE_${at}`, value: `value ${at} of ${number}` }));
  const endpoints = [{ name: 'http', targetPort: 8080, exposure: 'public', attributes: { type: 'main' } }];
  return {
    name,
    container: { image: 'registry.example/tools:1', memoryLimit: '4Gi', mountSources: true, env, endpoints },
  };
}

function derivedOfUser(namespace: string): Made[] {
  const copy: Meta = { namespace, labels: { ...component('workspaces-config'), [MOUNT]: 'true' } };
  const settings: Meta = { namespace, labels: { ...component('user-settings'), [MOUNT]: 'true' } };
  return [
    configMap('for-every-user', copy, { 'settings.xml': '<settings/>\n' }),
    secret('for-every-user', copy, ['token']),
    volumeClaim('for-every-user', copy),
    configMap('che-user-settings', settings, {}),
    secret('devworkspace-merged-git-credentials', { namespace, labels: { [MOUNT]: 'true' } }, ['credentials']),
    configMap('devworkspace-gitconfig', { namespace, labels: { [MOUNT]: 'true' } }, { gitconfig: '' }),
    configMap('kube-root-ca.crt', { namespace }, { 'ca.crt': '' }),
    secret(
      'default-token-x7k2p',
      { namespace, annotations: { 'kubernetes.io/service-account.name': 'default' } },
      ['token'],
      'kubernetes.io/service-account-token',
    ),
  ].map(derived);
}
