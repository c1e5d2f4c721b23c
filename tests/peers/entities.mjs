// Questions for entities: all of them, some of them, one of them, and what there is of them.

import assert from 'node:assert/strict';
import { CATALOG_FILTER_EXISTS } from '@backstage/catalog-client';
import { ANNOTATION_LOCATION, stringifyEntityRef } from '@backstage/catalog-model';

export const EXISTS = CATALOG_FILTER_EXISTS;
export const FILTERS = {
  'one key': { kind: 'component' },
  'case does not count': { kind: 'CoMpOnEnT', 'spec.lifecycle': 'PRODUCTION' },
  'all keys of a set': { kind: 'component', 'spec.type': 'service' },
  'any value of a key': { 'spec.type': ['service', 'website', 'team'] },
  'any set': [{ kind: 'group' }, { kind: 'api', 'spec.lifecycle': 'production' }],
  'a key that exists': { kind: 'component', 'metadata.tags': EXISTS },
  'an annotation': { 'metadata.annotations.github.com/project-slug': EXISTS },
  'a relation': { 'relations.ownedBy': EXISTS, kind: 'api' },
  'a member of an array': { 'metadata.tags.python': 'true' },
  'nothing there': { 'metadata.name': 'nobody-has-this-name' },
};
export const PREDICATES = {
  $all: { $all: [{ kind: 'component' }, { 'spec.lifecycle': 'production' }] },
  $any: { $any: [{ kind: 'group' }, { 'spec.type': 'website' }] },
  $not: { $all: [{ kind: 'component' }, { $not: { 'spec.type': 'service' } }] },
  $in: { kind: { $in: ['api', 'system'] } },
  '$exists true': { kind: 'component', 'spec.system': { $exists: true } },
  '$exists false': { kind: 'component', 'spec.system': { $exists: false } },
  $hasPrefix: { 'metadata.name': { $hasPrefix: 'a' } },
  nested: {
    $all: [
      { $any: [{ kind: 'component' }, { kind: 'api' }] },
      { $not: { $any: [{ 'spec.lifecycle': 'production' }, { 'spec.type': 'library' }] } },
    ],
  },
  'nothing there': { kind: 'component', 'spec.type': { $in: ['no-such-type'] } },
};

export const refs = entities => entities.map(stringifyEntityRef);
export const sorted = entities => refs(entities).sort();

function likeTheFiles({ byRef, expected }) {
  for (const [ref, wanted] of expected.entities) {
    assert(byRef.has(ref), `${ref} is missing`);
    const { uid, etag, ...metadata } = byRef.get(ref).metadata;
    assert.match(uid, /^[0-9a-f-]{36}$/);
    assert.match(etag, /^[0-9a-f]{40}$/);
    assert.deepEqual({ ...byRef.get(ref), metadata }, wanted, `${ref} is not as its file says`);
  }
  const others = [...byRef.keys()].filter(ref => !expected.entities.has(ref));
  const surplus = others.filter(ref => !ref.startsWith('location:default/generated-'));
  assert.deepEqual(surplus, [], 'what no file holds');
  return `${expected.entities.size} as in the files, ${others.length} made for locations`;
}

async function sameEntities({ client, judge }, request) {
  const [ours, theirs] = [await client.getEntities(request), await judge.getEntities(request)];
  assert.deepEqual(sorted(ours.items), sorted(theirs.items));
  return ours.items.length;
}

async function sameList({ client, judge }, request) {
  const [ours, theirs] = [await client.getEntities(request), await judge.getEntities(request)];
  assert.deepEqual(ours.items, theirs.items);
  return ours.items.length;
}

async function allByAfter({ client, judge }) {
  // The client hides the `Link` header, so a cursor is made as the server makes it.
  const found = [];
  for (let offset = 0; ; offset += 7) {
    const after = btoa(JSON.stringify({ limit: 7, offset }));
    const { items } = await client.getEntities({ after, filter: { kind: 'component' } });
    if (!items.length) break;
    found.push(...items);
  }
  const { items } = await judge.getEntities({ filter: { kind: 'component' } });
  assert.deepEqual(refs(found), sorted(items));
  return found.length;
}

async function manyRefs({ client, requests, entities, byRef }) {
  const known = refs(entities);
  const asked = Array.from({ length: 2500 }, (_, i) => (i % 3 ? known[i % known.length] : `x:y/${i}`));
  const { items } = await client.getEntitiesByRefs({ entityRefs: asked });
  assert.deepEqual(items, asked.map(ref => byRef.get(ref)));
  assert.equal(requests.length, 3);
  return `${items.length} in ${requests.length} requests`;
}

async function someRefs({ client, judge, refs: known }, options) {
  const request = { entityRefs: [...known, 'component:default/nobody'], ...options };
  const [ours, theirs] = [await client.getEntitiesByRefs(request), await judge.getEntitiesByRefs(request)];
  assert.deepEqual(ours.items, theirs.items);
  return `${ours.items.filter(Boolean).length} of ${known.length}`;
}

async function ancestors({ client, expected, byRef }) {
  let steps = 0;
  for (const [ref, parent] of expected.parents) {
    const { rootEntityRef, items } = await client.getEntityAncestors({ entityRef: ref });
    assert.equal(rootEntityRef, ref);
    const chain = new Map(items.map(item => [stringifyEntityRef(item.entity), item.parentEntityRefs]));
    assert.deepEqual(items[0].entity, byRef.get(ref));
    let [at, up] = [ref, parent];
    for (; up; [at, up] = [up, expected.parents.get(up)]) assert.deepEqual(chain.get(at), [up]);
    const [top, ...rest] = chain.get(at);
    assert.match(top, /^location:default\/generated-[0-9a-f]{40}$/);
    assert.deepEqual([rest, chain.get(top)], [[], []]);
    steps += items.length - 1;
  }
  return `${steps} steps up from ${expected.parents.size} entities`;
}

const FACETS = ['kind', 'spec.type', 'metadata.tags', 'relations.ownedBy', 'metadata.namespace'];

async function sameFacets({ client, judge, requests }, request, call) {
  const asked = { facets: [...FACETS, 'spec.no-such-field'], ...request };
  const [ours, theirs] = [await client.getEntityFacets(asked), await judge.getEntityFacets(asked)];
  const byValue = (a, b) => (a.value < b.value ? -1 : 1);
  for (const counts of Object.values(theirs.facets)) counts.sort(byValue);
  assert.deepEqual(ours, theirs);
  assert.deepEqual(requests, [call]);
  return FACETS.map(facet => ours.facets[facet].length).join(', ');
}

async function missing(promise) {
  assert.equal(await promise, undefined);
}

async function refused(promise, status, message) {
  await assert.rejects(promise, error => {
    assert.equal(error.statusCode, status);
    assert.equal(error.body.error.message, message);
    return true;
  });
}

const one = ({ entities }) => entities.find(entity => entity.kind !== 'Location');

export const entityQuestions = [
  ['getEntities', 'are as the files say', likeTheFiles],
  ...Object.entries(FILTERS).map(([about, filter]) => [
    'getEntities', `filter: ${about}`, context => sameEntities(context, { filter }),
  ]),
  ['getEntities', 'fields', context => sameList(context, {
    filter: { kind: ['component', 'group'] },
    fields: ['kind', 'metadata.name', 'metadata.annotations.backstage.io/managed-by-location', 'spec.type'],
    order: [{ field: 'kind', order: 'desc' }, { field: 'metadata.name', order: 'asc' }],
    limit: 1000,
  })],
  ['getEntities', 'order', context => sameList(context, {
    filter: { kind: 'component' },
    order: { field: 'metadata.uid', order: 'desc' }, // nothing else is unique
  })],
  ['getEntities', 'order by several, offset and limit', context => sameList(context, {
    order: [
      { field: 'kind', order: 'asc' },
      { field: 'metadata.namespace', order: 'asc' },
      { field: 'metadata.name', order: 'desc' },
    ],
    offset: 5,
    limit: 60,
  })],
  ['getEntities', 'after', allByAfter],
  ['getEntitiesByRefs', 'more than a request may hold', manyRefs],
  ['getEntitiesByRefs', 'none', async ({ client }) => {
    assert.deepEqual(await client.getEntitiesByRefs({ entityRefs: [] }), { items: [] });
  }],
  ['getEntitiesByRefs', 'filter', context => someRefs(context, { filter: { kind: 'component' } })],
  ['getEntitiesByRefs', 'query', context => someRefs(context, { query: PREDICATES.$not })],
  ['getEntitiesByRefs', 'filter, query and fields', context => someRefs(context, {
    filter: { 'spec.type': EXISTS },
    query: PREDICATES.$not,
    fields: ['kind', 'metadata.name'],
  })],
  ['getEntityByRef', 'every entity', async ({ client, byRef }) => {
    for (const [ref, entity] of byRef) assert.deepEqual(await client.getEntityByRef(ref), entity);
    return byRef.size;
  }],
  ['getEntityByRef', 'in capitals, and in parts', async context => {
    const { kind, metadata: { name, namespace } } = one(context);
    const capitals = `${kind}:${namespace}/${name}`.toUpperCase();
    assert.deepEqual(await context.client.getEntityByRef(capitals), one(context));
    assert.deepEqual(await context.client.getEntityByRef({ kind, namespace, name }), one(context));
  }],
  ['getEntityByRef', 'unknown', ({ client }) => missing(client.getEntityByRef('component:default/no'))],
  ['getEntityByName', 'without a namespace', async context => {
    const wanted = context.entities.find(e => e.metadata.namespace === 'default');
    const { kind, metadata: { name } } = wanted;
    assert.deepEqual(await context.client.getEntityByName({ kind, name }), wanted);
  }],
  ['getEntityByName', 'unknown', ({ client }) => missing(client.getEntityByName({ kind: 'api', name: 'no' }))],
  ['getEntityAncestors', 'up to the roots', ancestors],
  ['getEntityAncestors', 'unknown', ({ client }) => refused(
    client.getEntityAncestors({ entityRef: 'component:default/no' }),
    404, 'No such entity component:default/no',
  )],
  ['getEntityFacets', 'all', context => sameFacets(context, {}, 'GET /entity-facets')],
  ...Object.entries(FILTERS).map(([about, filter]) => [
    'getEntityFacets', `filter: ${about}`, context => sameFacets(context, { filter }, 'GET /entity-facets'),
  ]),
  ...Object.entries(PREDICATES).map(([about, query]) => [
    'getEntityFacets', `query: ${about}`, context => sameFacets(context, { query }, 'POST /entity-facets'),
  ]),
  ['getEntityFacets', 'filter and query', context => sameFacets(
    context, { filter: FILTERS['a relation'], query: PREDICATES.$in }, 'POST /entity-facets',
  )],
  ['refreshEntity', 'one that is there', ({ client, refs: known }) => client.refreshEntity(known[0])],
  ['refreshEntity', 'unknown', ({ client }) => refused(
    client.refreshEntity('component:default/no'), 404, 'Entity component:default/no not found',
  )],
  ['removeEntityByUid', 'unknown', ({ client }) =>
    client.removeEntityByUid('00000000-0000-4000-8000-000000000000')],
  ['getEntities', 'without a token', ({ clientOf }) => refused(
    clientOf('').client.getEntities(), 401, 'Missing credentials',
  )],
  ['getEntities', 'with a wrong token', ({ clientOf }) => refused(
    clientOf('not-a-token').client.getEntities(), 401, 'Illegal token',
  )],
  ['getEntities', 'the place of each', ({ entities, expected }) => {
    for (const [ref, place] of expected.places) {
      const entity = entities.find(found => stringifyEntityRef(found) === ref);
      assert.equal(entity.metadata.annotations[ANNOTATION_LOCATION], place);
    }
  }],
];
