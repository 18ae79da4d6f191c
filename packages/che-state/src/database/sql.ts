/** Statements about databases as a whole. */
import { Buffer } from 'node:buffer';
import { identifier, literal } from './quote.ts';

/** Longest name, in bytes: PostgreSQL's manual, "Lexical Structure". */
const LONGEST_NAME = 63;

/** A name for a database that is there for a while: `dbche_restore_0123456789abcdef`. */
export function temporaryName(database: string, kind: 'restore' | 'replaced', suffix: string): string {
  return `${temporaryPrefix(database, kind)}${suffix}`;
}

/** Hex digits of a suffix. */
export const SUFFIX_LENGTH = 16;

function temporaryPrefix(database: string, kind: 'restore' | 'replaced'): string {
  const rest = `_${kind}_`;
  let start = database;
  while (Buffer.byteLength(start) + rest.length + SUFFIX_LENGTH > LONGEST_NAME)
    start = [...start].slice(0, -1).join('');
  return start + rest;
}

/** JSON: the owner, encoding and locale of a database; no row where there is none. What older servers lack is null. */
export function describeDatabase(database: string): string {
  return `SELECT pg_catalog.json_build_object(
    'owner', pg_catalog.pg_get_userbyid(datdba), 'encoding', pg_catalog.pg_encoding_to_char(encoding),
    'collate', datcollate, 'ctype', datctype, 'provider', pg_catalog.to_json(d)->>'datlocprovider',
    'locale', COALESCE(pg_catalog.to_json(d)->>'datlocale', pg_catalog.to_json(d)->>'daticulocale'))
  FROM pg_catalog.pg_database AS d WHERE datname = ${literal(database)}`;
}

/** JSON: names that loads which died have left behind; those of loads that run have somebody connected. */
export function findLeftovers(database: string): string {
  const patterns = (['restore', 'replaced'] as const).map((kind) => {
    const prefix = temporaryPrefix(database, kind);
    const length = [...prefix].length;
    return `(pg_catalog.left(datname::text, ${length}) = ${literal(prefix)}
      AND pg_catalog.substr(datname::text, ${length + 1}) ~ '^[0-9a-f]{${SUFFIX_LENGTH}}$')`;
  });
  return `SELECT pg_catalog.json_agg(datname) FROM pg_catalog.pg_database AS d
  WHERE (${patterns.join(' OR ')})
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.datname = d.datname)`;
}

export interface DatabaseShape {
  readonly owner: string | undefined;
  readonly encoding?: string | undefined;
  readonly collate?: string | undefined;
  readonly ctype?: string | undefined;
  /** `i`: ICU, `b`: PostgreSQL's own; others need no `locale`. */
  readonly provider?: string | undefined;
  readonly locale?: string | undefined;
}

export function createDatabase(name: string, shape: DatabaseShape): string {
  const { owner, encoding, collate, ctype, provider, locale } = shape;
  const [providerName, localeName] = provider === 'i' ? ['icu', 'ICU_LOCALE'] : ['builtin', 'BUILTIN_LOCALE'];
  const hasProvider = (provider === 'i' || provider === 'b') && locale !== undefined;
  const parts = [
    `CREATE DATABASE ${identifier(name)} TEMPLATE template0`,
    ...(owner === undefined ? [] : [`OWNER ${identifier(owner)}`]),
    ...(encoding === undefined ? [] : [`ENCODING ${literal(encoding)}`]),
    ...(collate === undefined ? [] : [`LC_COLLATE ${literal(collate)}`]),
    ...(ctype === undefined ? [] : [`LC_CTYPE ${literal(ctype)}`]),
    ...(hasProvider ? [`LOCALE_PROVIDER ${providerName} ${localeName} ${literal(locale)}`] : []),
  ];
  return parts.join(' ');
}

/** Gives a database what another one has beside its content: the limit of connections, permissions and settings. */
export function copyProperties(from: string, to: string): string {
  return `DO $copy$
DECLARE
  old record;
  one record;
  target text := ${literal(to)};
BEGIN
  SELECT * INTO STRICT old FROM pg_catalog.pg_database WHERE datname = ${literal(from)};
  IF old.datconnlimit <> -1 THEN
    EXECUTE pg_catalog.format('ALTER DATABASE %I CONNECTION LIMIT %s', target, old.datconnlimit);
  END IF;
  IF old.datacl IS NOT NULL THEN
    EXECUTE pg_catalog.format('REVOKE ALL ON DATABASE %I FROM PUBLIC', target);
    FOR one IN SELECT a.privilege_type, a.is_grantable, r.rolname FROM pg_catalog.aclexplode(old.datacl) AS a
        LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee WHERE a.grantee = 0 OR r.oid IS NOT NULL LOOP
      EXECUTE pg_catalog.format('GRANT %s ON DATABASE %I TO %s%s', one.privilege_type, target,
        CASE WHEN one.rolname IS NULL THEN 'PUBLIC' ELSE pg_catalog.quote_ident(one.rolname) END,
        CASE WHEN one.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
  END IF;
  FOR one IN SELECT pg_catalog.split_part(c, '=', 1) AS name, pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1) AS value
      FROM pg_catalog.pg_db_role_setting AS s, pg_catalog.unnest(s.setconfig) AS c
      WHERE s.setdatabase = old.oid AND s.setrole = 0 LOOP
    EXECUTE pg_catalog.format('ALTER DATABASE %I SET %s TO %s', target, one.name,
      CASE WHEN one.name IN ('search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries')
        THEN one.value ELSE pg_catalog.quote_literal(one.value) END);
  END LOOP;
END $copy$`;
}

/** Both in one transaction: there is no moment without the database. Fails with 55006 while somebody is connected. */
export function exchange(database: string, fresh: string, replaced: string): string {
  return [
    'BEGIN',
    disconnect(database),
    disconnect(fresh),
    `ALTER DATABASE ${identifier(database)} RENAME TO ${identifier(replaced)}`,
    `ALTER DATABASE ${identifier(fresh)} RENAME TO ${identifier(database)}`,
    'COMMIT',
  ].join(';\n');
}

export function rename(from: string, to: string): string {
  return `ALTER DATABASE ${identifier(from)} RENAME TO ${identifier(to)}`;
}

export function disconnect(database: string): string {
  return `SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity
    WHERE datname = ${literal(database)} AND usesysid IS NOT NULL AND pid <> pg_catalog.pg_backend_pid()`;
}

export function dropDatabase(database: string): string {
  return `DROP DATABASE IF EXISTS ${identifier(database)}`;
}
