// Questions for pages of entities: `queryEntities` and what is built on it.

import assert from 'node:assert/strict';
import { FILTERS, PREDICATES, refs, sorted } from './entities.mjs';

const BY_QUERY = '/entities/by-query';

async function samePage({ client, judge, requests }, request, method = 'GET') {
  const [ours, theirs] = [await client.queryEntities(request), await judge.queryEntities(request)];
  assert.deepEqual(sorted(ours.items), sorted(theirs.items));
  assert.equal(ours.totalItems, theirs.totalItems);
  assert.deepEqual(requests, [`${method} ${BY_QUERY}`]);
  return `${ours.items.length} of ${ours.totalItems}`;
}

/** Turn pages to the end and back again; answer which requests were made. */
async function walk({ client, judge, requests }, request, pageSize) {
  const { limit, ...unlimited } = { ...request, limit: pageSize };
  const { items: wanted } = await judge.queryEntities(unlimited);
  const pages = [await client.queryEntities({ ...request, limit })];
  assert.equal(pages[0].pageInfo.prevCursor, undefined);
  while (pages.at(-1).pageInfo.nextCursor) {
    const cursor = pages.at(-1).pageInfo.nextCursor;
    pages.push(await client.queryEntities({ cursor, limit, fields: request.fields }));
    assert.equal(pages.at(-1).totalItems, wanted.length);
  }
  assert.equal(pages.length, Math.max(1, Math.ceil(wanted.length / limit)));
  const found = pages.flatMap(page => page.items);
  assert.equal(found.length, wanted.length);
  assert.deepEqual(new Set(found.map(item => JSON.stringify(item))),
    new Set(wanted.map(item => JSON.stringify(item))));
  for (let at = pages.length - 1; at > 0; at -= 1) {
    const cursor = pages[at].pageInfo.prevCursor;
    const back = await client.queryEntities({ cursor, limit, fields: request.fields });
    assert.deepEqual(back.items, pages[at - 1].items);
    pages[at - 1] = back;
  }
  return { found, said: `${wanted.length} in ${pages.length} pages`, requests: [...new Set(requests)] };
}

const by = (field, order = 'asc') => ({ field, order });

async function inOrder(context, order) {
  const request = { filter: { kind: 'component' }, orderFields: by('metadata.name', order) };
  const { found, said } = await walk(context, request, 4);
  const names = found.map(entity => entity.metadata.name.toLowerCase());
  const wanted = [...names].sort();
  assert.deepEqual(names, order === 'asc' ? wanted : wanted.reverse());
  return said;
}

async function lackingTheOrderField({ client, entities }) {
  const { items, totalItems } = await client.queryEntities({ orderFields: by('spec.system') });
  const wanted = entities.filter(entity => entity.spec?.system);
  assert.deepEqual(sorted(items), sorted(wanted));
  assert.equal(totalItems, wanted.length);
  return totalItems;
}

async function unfiltered(context) {
  const { said, requests } = await walk(context, {}, 50);
  return `${said} by ${requests.join(' and ')}`;
}

async function filtered(context) {
  const { said, requests } = await walk(context, { filter: FILTERS['all keys of a set'] }, 3);
  assert.deepEqual(requests, [`GET ${BY_QUERY}`, `POST ${BY_QUERY}`], 'the cursor holds a query');
  return `${said} by GET, then POST`;
}

async function stream({ client, judge }, request) {
  const pages = [];
  for await (const page of client.streamEntities(request)) pages.push(page);
  const { pageSize, ...unlimited } = request;
  const { items } = await judge.queryEntities(unlimited);
  assert.deepEqual(sorted(pages.flat()), sorted(items));
  assert.equal(pages.length, Math.max(1, Math.ceil(items.length / (pageSize ?? 500))));
  return `${items.length} in ${pages.length} pages`;
}

const term = (text, ...fields) => ({ term: text, ...(fields.length && { fields }) });

export const pageQuestions = [
  ['queryEntities', 'all', context => samePage(context, { limit: 10_000 })],
  ['queryEntities', 'the first 200 if nothing is said', async ({ client, entities }) => {
    const { items, totalItems } = await client.queryEntities();
    assert.deepEqual([items.length, totalItems], [Math.min(200, entities.length), entities.length]);
  }],
  ...Object.entries(FILTERS).map(([about, filter]) => [
    'queryEntities', `filter: ${about}`, context => samePage(context, { filter, limit: 10_000 }),
  ]),
  ...Object.entries(PREDICATES).map(([about, query]) => [
    'queryEntities', `query: ${about}`, context => samePage(context, { query, limit: 10_000 }, 'POST'),
  ]),
  ['queryEntities', 'filter and query', context => samePage(
    context, { filter: FILTERS['one key'], query: PREDICATES.$any, limit: 10_000 }, 'POST',
  )],
  ['queryEntities', '$contains a relation', async ({ client, entities }) => {
    const owner = entities.flatMap(e => e.relations).find(r => r.type === 'ownedBy').targetRef;
    const query = { relations: { $contains: { type: 'ownedBy', targetRef: owner } } };
    const { items } = await client.queryEntities({ query, limit: 10_000 });
    const isOwned = entity => entity.relations.some(r => r.type === 'ownedBy' && r.targetRef === owner);
    assert.deepEqual(sorted(items), sorted(entities.filter(isOwned)));
    return items.length;
  }],
  ['queryEntities', '$contains a tag', async ({ client, entities }) => {
    const tag = entities.find(e => e.metadata.tags?.length).metadata.tags[0];
    const query = { 'metadata.tags': { $contains: tag } };
    const { items } = await client.queryEntities({ query, limit: 10_000 });
    assert.deepEqual(sorted(items), sorted(entities.filter(e => e.metadata.tags?.includes(tag))));
    return items.length;
  }],
  ['queryEntities', 'pages there and back', unfiltered],
  ['queryEntities', 'pages of a filter', filtered],
  ['queryEntities', 'pages of a query', async context => {
    const { said, requests } = await walk(context, { query: PREDICATES.$in }, 5);
    assert.deepEqual(requests, [`POST ${BY_QUERY}`]);
    return said;
  }],
  ['queryEntities', 'pages with fields', async context => (await walk(context, {
    filter: { kind: 'group' },
    fields: ['kind', 'metadata.name', 'metadata.uid'],
  }, 5)).said],
  ['queryEntities', 'pages in order', context => inOrder(context, 'asc')],
  ['queryEntities', 'pages in reverse order', context => inOrder(context, 'desc')],
  ['queryEntities', 'lacking the order field', lackingTheOrderField],
  ['queryEntities', 'offset', async ({ client, refs: known }) => {
    const orderFields = by('metadata.name');
    const all = await client.queryEntities({ orderFields, limit: 10_000 });
    const some = await client.queryEntities({ orderFields, offset: 3, limit: 4 });
    assert.equal(all.items.length, known.length);
    assert.deepEqual(refs(some.items), refs(all.items.slice(3, 7)));
  }],
  ['queryEntities', 'no limit for totals only', async ({ client, entities }) => {
    const answer = await client.queryEntities({ limit: 0 });
    assert.deepEqual(answer, { items: [], totalItems: entities.length, pageInfo: {} });
  }],
  ['queryEntities', 'without totals', async ({ client }) => {
    for (const request of [{ filter: FILTERS['one key'] }, { query: PREDICATES.$in }]) {
      const { items, totalItems } = await client.queryEntities({ ...request, totalItems: 'exclude' });
      assert(items.length > 0);
      assert.equal(totalItems, 0);
    }
  }],
  ['queryEntities', 'text in some fields', context => samePage(context, {
    // Not in descriptions: the judge looks into texts of more than 200 characters, Backstage does not.
    fullTextFilter: term(' SER ', 'metadata.name', 'metadata.title', 'spec.owner'),
    limit: 10_000,
  })],
  ['queryEntities', 'text in the order field', context => samePage(context, {
    filter: { kind: 'component' },
    fullTextFilter: term('e'),
    orderFields: by('metadata.name'),
    limit: 10_000,
  })],
  ['queryEntities', 'text and a query', context => samePage(context, {
    query: PREDICATES.$in,
    fullTextFilter: term('a', 'metadata.name'),
    limit: 10_000,
  }, 'POST')],
  ['queryEntities', 'pages of a text', async context => (await walk(context, {
    filter: FILTERS['one key'],
    fullTextFilter: term('a', 'metadata.name', 'spec.type'),
    orderFields: by('metadata.name'),
  }, 3)).said],
  ['queryEntities', 'a cursor that is none', async ({ client }) => {
    await assert.rejects(client.queryEntities({ cursor: 'x' }), error => error.statusCode === 400);
  }],
  ['streamEntities', 'all', context => stream(context, {})],
  ['streamEntities', 'of a filter', context => stream(context, { filter: FILTERS['any set'], pageSize: 7 })],
  ['streamEntities', 'of a query', context => stream(context, { query: PREDICATES.nested, pageSize: 3 })],
];
