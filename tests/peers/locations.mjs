// Questions for registered locations, and for entities that are not in the catalog.

import assert from 'node:assert/strict';

const LOCATIONS = '/locations';
const NOBODY = '00000000-0000-4000-8000-000000000000';
const GOOD = {
  apiVersion: 'backstage.io/v1alpha1',
  kind: 'Component',
  metadata: { name: 'trial' },
  spec: { type: 'service', lifecycle: 'experimental', owner: 'team' },
};

async function missing(promise) {
  assert.equal(await promise, undefined);
}

// Configured locations do not count: only those that were registered through the API.
export const locationQuestions = [
  ['getLocations', 'none is registered', async ({ client }) => {
    assert.deepEqual(await client.getLocations(), { items: [] });
  }, LOCATIONS],
  ['queryLocations', 'none is registered', async ({ client }) => {
    const answer = await client.queryLocations({ limit: 5, query: { type: 'url' } });
    assert.deepEqual(answer, { items: [], totalItems: 0, pageInfo: {} });
  }, `${LOCATIONS}/by-query`],
  ['streamLocations', 'none is registered', async ({ client }) => {
    for await (const page of client.streamLocations()) assert.fail(`${page.length} locations`);
  }, `${LOCATIONS}/by-query`],
  ['getLocationById', 'unknown', ({ client }) => missing(client.getLocationById(NOBODY)),
    `${LOCATIONS}/{id}`],
  ['getLocationByRef', 'unknown', ({ client }) =>
    missing(client.getLocationByRef('url:https://example.com/catalog-info.yaml')), LOCATIONS],
  ['getLocationByEntity', 'of a configured location', ({ client, refs }) =>
    missing(client.getLocationByEntity(refs[0])),
  `${LOCATIONS}/by-entity/{kind}/{namespace}/{name}`],
  ['validateEntity', 'good', async ({ client }) => {
    const answer = await client.validateEntity(GOOD, 'url:https://example.com/catalog-info.yaml');
    assert.deepEqual(answer, { valid: true });
  }, '/validate-entity'],
  ['validateEntity', 'bad', async ({ client }) => {
    const bad = { ...GOOD, metadata: { name: 'not a name' } };
    const answer = await client.validateEntity(bad, 'url:https://example.com/catalog-info.yaml');
    assert.equal(answer.valid, false);
    assert.match(answer.errors[0].message, /"metadata.name" is not valid/);
  }, '/validate-entity'],
  ['analyzeLocation', 'of a repository that cannot be looked into', async ({ client }) => {
    const location = { type: 'url', target: 'https://example.com/team/repository' };
    const answer = await client.analyzeLocation({ location });
    assert.deepEqual(answer.existingEntityFiles, []);
    assert.equal(answer.generateEntities[0].entity.metadata.name, 'repository');
  }, '/analyze-location'],
];
