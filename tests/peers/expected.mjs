// What a catalog should hold, found out without Callboard: files are read with npm's yaml, entities
// are judged by Backstage's own model, and relations follow from its table.

import fs from 'node:fs';
import path from 'node:path';
import {
  ANNOTATION_LOCATION,
  ANNOTATION_ORIGIN_LOCATION,
  apiEntityV1alpha1Validator,
  componentEntityV1alpha1Validator,
  DefaultNamespaceEntityPolicy,
  domainEntityV1alpha1Validator,
  EntityPolicies,
  FieldFormatEntityPolicy,
  groupEntityV1alpha1Validator,
  locationEntityV1alpha1Validator,
  NoForeignRootFieldsEntityPolicy,
  parseEntityRef,
  resourceEntityV1alpha1Validator,
  SchemaValidEntityPolicy,
  stringifyEntityRef,
  systemEntityV1alpha1Validator,
  userEntityV1alpha1Validator,
} from '@backstage/catalog-model';
import { LineCounter, parseAllDocuments } from 'yaml';

const POLICY = EntityPolicies.allOf([
  new SchemaValidEntityPolicy(),
  new DefaultNamespaceEntityPolicy(),
  new NoForeignRootFieldsEntityPolicy(),
  new FieldFormatEntityPolicy(),
]);
// Templates are not in Backstage's catalog model; what is wanted of them is checked by hand.
const TEMPLATE = {
  check: async e => e.kind === 'Template' && Boolean(e.spec?.type) && Array.isArray(e.spec?.steps),
};
const KINDS = [
  apiEntityV1alpha1Validator,
  componentEntityV1alpha1Validator,
  domainEntityV1alpha1Validator,
  groupEntityV1alpha1Validator,
  locationEntityV1alpha1Validator,
  resourceEntityV1alpha1Validator,
  systemEntityV1alpha1Validator,
  userEntityV1alpha1Validator,
  TEMPLATE,
];
const SORTED = 'providesApis consumesApis dependsOn dependencyOf memberOf children members';
const RELATIONS = [
  // kinds, field of the spec, kind of a ref that names none, relation, its reverse
  ['API Component Domain Resource System Template', 'owner', 'Group', 'ownedBy', 'ownerOf'],
  ['API Component Resource', 'system', 'System', 'partOf', 'hasPart'],
  ['Component', 'subcomponentOf', 'Component', 'partOf', 'hasPart'],
  ['System', 'domain', 'Domain', 'partOf', 'hasPart'],
  ['Domain', 'subdomainOf', 'Domain', 'partOf', 'hasPart'],
  ['Component', 'providesApis', 'API', 'providesApi', 'apiProvidedBy'],
  ['Component', 'consumesApis', 'API', 'consumesApi', 'apiConsumedBy'],
  ['Component Resource', 'dependsOn', undefined, 'dependsOn', 'dependencyOf'],
  ['Component Resource', 'dependencyOf', undefined, 'dependencyOf', 'dependsOn'],
  ['User', 'memberOf', 'Group', 'memberOf', 'hasMember'],
  ['Group', 'parent', 'Group', 'childOf', 'parentOf'],
  ['Group', 'children', 'Group', 'parentOf', 'childOf'],
  ['Group', 'members', 'User', 'hasMember', 'memberOf'],
];

/** Read files, and those that their Locations name; `origin` is the location they all come from. */
export async function readFiles(files, origin) {
  const catalog = { entities: new Map(), places: new Map(), parents: new Map(), problems: [] };
  for (const file of files) await readFile(catalog, file, origin ?? `file:${file}`, undefined);
  return catalog;
}

/** The catalog files of a folder, as people would tell them: by their name or by what is in them. */
export function catalogFiles(folder) {
  const isOne = name => path.basename(name) === 'catalog-info.yaml' || holdsEntities(name);
  return yamlFiles(folder).filter(isOne);
}

export function yamlFiles(folder) {
  const names = fs.readdirSync(folder, { recursive: true }).map(name => path.join(folder, name));
  return names.filter(name => /\.yaml$/.test(name) && fs.statSync(name).isFile()).sort();
}

function holdsEntities(file) {
  const text = fs.readFileSync(file, 'utf8');
  return /^apiVersion: *(scaffolder\.)?backstage\.io\//m.test(text) && /^kind: *\w+/m.test(text);
}

async function readFile(catalog, file, origin, parent) {
  const lines = new LineCounter();
  const found = parseAllDocuments(fs.readFileSync(file, 'utf8'), { lineCounter: lines });
  const flaw = (message, offset) => {
    const at = lines.linePos(offset ?? 0);
    catalog.problems.push({ file, line: at.line, message });
  };
  const broken = found.filter(document => document.errors.length);
  for (const document of broken) flaw(document.errors[0].message, document.errors[0].pos[0]);
  for (const document of broken.length ? [] : found) {
    const data = document.toJS();
    if (data === null) continue;
    try {
      const entity = await judged(data, `file:${file}`, origin);
      const ref = stringifyEntityRef(entity);
      catalog.entities.set(ref, entity); // of two in one file the later one counts
      catalog.places.set(ref, `file:${file}`);
      catalog.parents.set(ref, parent);
      if (entity.kind === 'Location') {
        for (const target of targets(entity, file)) await readFile(catalog, target, origin, ref);
      }
    } catch (error) {
      flaw(error.message, document.contents?.range?.[0]);
    }
  }
}

function targets(location, file) {
  const { target, targets: several = [], presence } = location.spec;
  return [...(target ? [target] : []), ...several]
    .map(name => (name.startsWith('.') ? path.join(path.dirname(file), name) : name))
    .filter(name => presence !== 'optional' || fs.existsSync(name));
}

/** An entity as it is served, but for its relations, uid and etag; throws if it is not valid. */
async function judged(data, place, origin) {
  const annotations = { [ANNOTATION_LOCATION]: place, [ANNOTATION_ORIGIN_LOCATION]: origin };
  const metadata = { ...data.metadata };
  metadata.annotations = { ...metadata.annotations, ...annotations };
  forbidPlaceholders(data);
  const entity = await POLICY.enforce({ ...data, metadata });
  let isKnown = false;
  for (const kind of KINDS) isKnown ||= await kind.check(entity);
  if (!isKnown) throw new Error('no such kind');
  const spec = { ...entity.spec };
  for (const field of SORTED.split(' ')) {
    if (Array.isArray(spec[field])) spec[field] = [...spec[field]].sort();
  }
  return { ...entity, spec };
}

/** In files placeholders come to nothing: they name URLs, and no host is configured to be read. */
function forbidPlaceholders(value) {
  if (typeof value !== 'object' || value === null) return;
  const keys = Object.keys(value);
  if (keys.length === 1 && ['$text', '$json', '$yaml'].includes(keys[0])) {
    throw new Error('a placeholder in a file');
  }
  Object.values(value).forEach(forbidPlaceholders);
}

/** Give every entity its relations, in the order in which they are served. */
export function relate(entities) {
  const relations = new Map([...entities.keys()].map(ref => [ref, new Set()]));
  for (const [ref, entity] of entities) {
    for (const [kinds, field, defaultKind, type, reverse] of RELATIONS) {
      if (!kinds.split(' ').includes(entity.kind)) continue;
      for (const named of [entity.spec[field] ?? []].flat()) {
        const defaults = { defaultKind, defaultNamespace: entity.metadata.namespace };
        const target = stringifyEntityRef(parseEntityRef(named, defaults));
        relations.get(ref).add(`${type} ${target}`);
        relations.get(target)?.add(`${reverse} ${ref}`);
      }
    }
  }
  for (const [ref, entity] of entities) {
    const rows = [...relations.get(ref)].sort((a, b) => (a < b ? -1 : 1));
    entity.relations = rows.map(row => {
      const [type, targetRef] = row.split(' ');
      return { type, targetRef };
    });
  }
}
