// The life of a registered location: tried, added, found, moved to another page, removed. Its pages
// are served here, at a port from which the server may read.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringifyEntityRef } from '@backstage/catalog-model';

const LOCATIONS = '/locations';
const port = Number(process.env.PAGES_PORT ?? 7128);
const target = `http://localhost:${port}/first/catalog-info.yaml`;
const moved = `http://localhost:${port}/second/catalog-info.yaml`;
const lost = `http://localhost:${port}/nothing-here.yaml`;
const component = name => JSON.stringify({
  apiVersion: 'backstage.io/v1alpha1',
  kind: 'Component',
  metadata: { name, annotations: { 'example.com/page': name } },
  spec: { type: 'service', lifecycle: 'experimental', owner: 'peers', system: { $text: './system.txt' } },
});
const pages = {
  '/first/catalog-info.yaml': component('peers-first'),
  '/first/system.txt': 'one-system',
  '/second/catalog-info.yaml': component('peers-second'),
  '/second/system.txt': 'another-system',
};

/** Serve the pages while a question is asked. */
function withPages(question) {
  return async context => {
    const server = createServer((request, response) => {
      const page = pages[request.url];
      response.writeHead(page === undefined ? 404 : 200, { connection: 'close' }).end(page);
    });
    await new Promise(resolve => server.listen(port, 'localhost', resolve));
    try {
      return await question(context);
    } finally {
      await new Promise(resolve => server.close(resolve));
    }
  };
}

async function until(question) {
  for (let turn = 0; turn < 100; turn += 1) {
    const answer = await question();
    if (answer) return answer;
    await sleep(100);
  }
  return assert.fail('waited in vain');
}

async function refused(promise, status, name) {
  await assert.rejects(promise, error => {
    assert.deepEqual([error.statusCode, error.body.error.name], [status, name]);
    return true;
  });
}

async function tried({ client }) {
  const { location, entities, exists } = await client.addLocation({ target, dryRun: true });
  assert.equal(exists, false);
  assert.deepEqual([location.type, location.target], ['url', target]);
  assert.match(location.entityRef, /^location:default\/generated-[0-9a-f]{40}$/);
  assert.deepEqual(entities.map(stringifyEntityRef), [location.entityRef, 'component:default/peers-first']);
  assert.equal(entities[1].spec.system, 'one-system');
  assert.deepEqual(await client.getLocations(), { items: [] });
  await refused(client.addLocation({ target: lost, dryRun: true }), 400, 'InputError');
  await refused(client.addLocation({ type: 'file', target: '/etc/passwd' }), 400, 'InputError');
}

async function lived({ client }) {
  const { location, entities } = await client.addLocation({ target });
  try {
    assert.deepEqual(entities, []);
    await refused(client.addLocation({ target }), 409, 'ConflictError');
    const again = await client.addLocation({ target, onConflict: 'refresh' });
    assert.deepEqual(again.location, location);
    await found(client, location);
    const entity = await until(() => client.getEntityByRef('component:default/peers-first'));
    assert.equal(entity.spec.system, 'one-system');
    assert.deepEqual(await client.getLocationByEntity('component:default/peers-first'), location);
    const { items } = await client.getEntityAncestors({ entityRef: 'component:default/peers-first' });
    assert.deepEqual(items[0].parentEntityRefs, [location.entityRef]);
    await changed(client, location);
  } finally {
    await client.removeLocationById(location.id);
  }
  assert.equal(await client.getEntityByRef('component:default/peers-second'), undefined);
  assert.equal(await client.getEntityByRef(location.entityRef), undefined);
  assert.equal(await client.getLocationById(location.id), undefined);
  await refused(client.removeLocationById(location.id), 404, 'NotFoundError');
}

async function found(client, location) {
  assert.deepEqual(await client.getLocations(), { items: [location] });
  assert.deepEqual(await client.getLocationById(location.id), location);
  assert.deepEqual(await client.getLocationByRef(`url:${target}`), location);
  const query = { target: { $hasPrefix: `http://localhost:${port}/` } };
  const page = { items: [location], totalItems: 1, pageInfo: {} };
  assert.deepEqual(await client.queryLocations({ query, limit: 1 }), page);
  const none = await client.queryLocations({ query: { type: 'file' } });
  assert.deepEqual(none, { items: [], totalItems: 0, pageInfo: {} });
  for await (const items of client.streamLocations({ query })) assert.deepEqual(items, [location]);
}

async function changed(client, location) {
  const now = await client.updateLocation(location.id, { target: moved });
  assert.deepEqual(now, { ...location, target: moved });
  await until(() => client.getEntityByRef('component:default/peers-second'));
  await until(async () => !(await client.getEntityByRef('component:default/peers-first')));
}

async function paged({ client }) {
  const targets = Array.from({ length: 5 }, (_, at) => `${target}?page=${at}`);
  const added = [];
  try {
    for (const one of targets) added.push((await client.addLocation({ target: one })).location);
    const pages = [];
    for await (const items of client.streamLocations({ limit: 2 })) pages.push(items);
    assert.deepEqual(pages.map(items => items.length), [2, 2, 1]);
    const byId = (a, b) => (a.id < b.id ? -1 : 1);
    assert.deepEqual(pages.flat(), added.sort(byId));
  } finally {
    for (const { id } of added) await client.removeLocationById(id);
  }
}

export const registeringQuestions = [
  ['addLocation', 'dry run', withPages(tried), LOCATIONS],
  ['addLocation', 'then found, updated, removed', withPages(lived), LOCATIONS],
  ['streamLocations', 'pages', withPages(paged), LOCATIONS],
  ['updateLocation', 'unknown', ({ client }) => refused(
    client.updateLocation('00000000-0000-4000-8000-000000000000', { target: moved }), 404, 'NotFoundError',
  ), LOCATIONS],
  ['removeLocationById', 'unknown', ({ client }) => refused(
    client.removeLocationById('00000000-0000-4000-8000-000000000000'), 404, 'NotFoundError',
  ), LOCATIONS],
];
