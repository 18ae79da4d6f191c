/** restic's REST protocol, versions 1 and 2 (restic manual, "REST Backend"): who asks for what, and may he? */
import { parseTarget } from './address.ts';
import type { Address, Subject } from './address.ts';
import { credentialsOf } from './auth/basic.ts';
import { answerFailure } from './failures.ts';
import { Files } from './files.ts';
import { ending, plain, Refusal } from './message.ts';
import type { Answer, Findings, Message } from './message.ts';
import { METRICS_TYPE } from './metrics.ts';
import type { Settings } from './options.ts';
import { Repositories } from './repositories.ts';

/** RFC 9110 §11.6.1 wants it with every 401. */
const CHALLENGE = { 'www-authenticate': 'Basic realm="restic", charset="UTF-8"' };
/** The user who may read the metrics of a server with private repositories, as in restic's server. */
const METRICS_USER = 'metrics';

/** subject → the methods there are for it. */
const METHODS: Readonly<Record<Subject['kind'], readonly string[]>> = {
  repository: ['POST'],
  list: ['GET'],
  file: ['HEAD', 'GET', 'POST', 'DELETE'],
};

export class Protocol {
  readonly #settings: Settings;
  readonly #repositories: Repositories;
  readonly #files: Files;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#repositories = new Repositories(settings);
    this.#files = new Files(settings);
  }

  /** Never rejects. What is found out about the request is left in `findings`. */
  async answer(message: Message, findings: Findings): Promise<Answer> {
    try {
      return await this.#answer(message, findings);
    } catch (error) {
      findings.error = error instanceof Refusal ? error.cause : error;
      return answerFailure(error);
    }
  }

  /** Closes the repositories that were opened. */
  async close(): Promise<void> {
    await this.#repositories.close();
  }

  async #answer(message: Message, findings: Findings): Promise<Answer> {
    const { metrics } = this.#settings;
    const isMetrics = metrics !== false && message.target.split('?', 1)[0] === '/metrics';
    if (isMetrics && metrics === 'open') return this.#answerMetrics();
    if (!(await this.#mayEnter(message, findings))) return plain(401, CHALLENGE);
    const { user } = findings;
    if (isMetrics) return this.#isForeign(METRICS_USER, user) ? plain(401, CHALLENGE) : this.#answerMetrics();
    const address = parseTarget(message.target);
    if (address === undefined) return plain(404);
    if (this.#isForeign(address.folders[0], user)) return plain(401, CHALLENGE);
    const allowed = METHODS[address.subject.kind];
    if (!allowed.includes(message.method)) return plain(405, { allow: allowed.join(', ') });
    return this.#enter(message, findings, address);
  }

  async #mayEnter(message: Message, findings: Findings): Promise<boolean> {
    const { authenticate } = this.#settings;
    if (authenticate === false) return true;
    const credentials = credentialsOf(message.header('authorization'));
    if (credentials === undefined || !(await authenticate(credentials.user, credentials.password))) return false;
    findings.user = credentials.user;
    return true;
  }

  #isForeign(owner: string | undefined, user: string): boolean {
    return this.#settings.privateRepositories && owner !== user;
  }

  #answerMetrics(): Answer {
    return { status: 200, headers: { 'content-type': METRICS_TYPE }, body: this.#files.metrics.render() };
  }

  /** The repository stays open until the last byte of the answer is gone. */
  async #enter(message: Message, findings: Findings, { folders, subject, query }: Address): Promise<Answer> {
    const repository = folders.join('/');
    findings.repository = repository;
    const { backend, release } = await this.#repositories.acquire(repository);
    let streams = false;
    try {
      const work = { message, user: findings.user, repository, backend };
      const answer = await this.#files.answer(work, subject, query);
      if (typeof answer.body === 'string') return answer;
      streams = true;
      return { ...answer, body: ending(answer.body, release) };
    } finally {
      if (!streams) await release();
    }
  }
}
