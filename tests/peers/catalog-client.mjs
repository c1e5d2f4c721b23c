// catalog-client.mjs BASE TOKEN PATH…: ask a running Callboard, by Backstage's own client, for what
// the files at PATH (a location, or a folder of catalog files) hold. Every answer is compared with
// what the files say and with the answer of Backstage's in-memory catalog to the same question.
// Prints a line for every question; fails if an answer is wrong.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { CatalogClient } from '@backstage/catalog-client';
import { InMemoryCatalogClient } from '@backstage/catalog-client/testUtils';
import { stringifyEntityRef } from '@backstage/catalog-model';
import { entityQuestions } from './entities.mjs';
import { catalogFiles, readFiles, relate } from './expected.mjs';
import { locationQuestions } from './locations.mjs';
import { pageQuestions } from './pages.mjs';
import { registeringQuestions } from './registering.mjs';

const [base, token, ...paths] = process.argv.slice(2);

/** The client with a token, and the requests that it made. */
function clientOf(token) {
  const requests = [];
  const client = new CatalogClient({
    discoveryApi: { getBaseUrl: async plugin => `${base}/api/${plugin}` },
    fetchApi: {
      fetch: async (input, init = {}) => {
        const url = new URL(input);
        requests.push(`${init.method ?? 'GET'} ${url.pathname.replace('/api/catalog', '')}`);
        const headers = { ...init.headers, ...(token && { authorization: `Bearer ${token}` }) };
        return await fetch(url, { ...init, headers });
      },
    },
  });
  return { client, requests };
}

async function guestToken() {
  const response = await fetch(`${base}/api/auth/guest/refresh`);
  return (await response.json()).backstageIdentity.token;
}

/** Which paths the server says that it has. */
async function servedPaths() {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${base}/api/catalog/openapi.json`, { headers });
  return new Set(Object.keys((await response.json()).paths));
}

async function expectedCatalog() {
  const all = { entities: new Map(), places: new Map(), parents: new Map(), problems: [] };
  for (const name of paths) {
    const isFolder = fs.statSync(name).isDirectory();
    const found = isFolder
      ? await readFiles(catalogFiles(name), `file:${name}`)
      : await readFiles([name]);
    for (const part of ['entities', 'places', 'parents']) {
      for (const [ref, value] of found[part]) all[part].set(ref, value);
    }
    all.problems.push(...found.problems);
  }
  relate(all.entities);
  return all;
}

/** What the question needs to know; `judge` answers as Backstage does, from the same entities. */
async function contextOf(token, expected) {
  const { client, requests } = clientOf(token);
  const { items } = await client.getEntities();
  const byRef = new Map(items.map(entity => [stringifyEntityRef(entity), entity]));
  const judge = new InMemoryCatalogClient({ entities: items });
  const refs = [...byRef.keys()].sort();
  return { client, requests, entities: items, byRef, refs, judge, expected, base, clientOf };
}

async function ask(questions, context, paths) {
  const result = { right: 0, wrong: [], notServed: new Set() };
  for (const [method, about, question, needs] of questions) {
    if (needs && !paths.has(`/api/catalog${needs}`)) {
      result.notServed.add(method);
      continue;
    }
    context.requests.length = 0;
    try {
      const said = await question(context);
      result.right += 1;
      console.log(`ok     ${method.padEnd(20)} ${about}${said === undefined ? '' : `: ${said}`}`);
    } catch (error) {
      result.wrong.push(method);
      console.log(`WRONG  ${method.padEnd(20)} ${about}: ${error.message.slice(0, 2000)}`);
    }
  }
  for (const method of result.notServed) console.log(`-      ${method.padEnd(20)} not served yet`);
  return result;
}

const expected = await expectedCatalog();
const served = await servedPaths();
const questions = [
  ...entityQuestions, ...pageQuestions, ...locationQuestions, ...registeringQuestions,
];
const asked = new Set(questions.map(([method]) => method));
for (const method of Object.getOwnPropertyNames(CatalogClient.prototype)) {
  const isPrivate = /^(constructor|get|request)(Ignored|Required|Optional|FilterValue)?$|ByPredicate$/;
  assert(isPrivate.test(method) || asked.has(method), `nothing asks ${method}`);
}

let failed = 0;
for (const [who, credentials] of [['static token', token], ['guest', await guestToken()]]) {
  console.log(`\n${paths.map(name => path.basename(name)).join(', ')}, asked with a ${who}`);
  const result = await ask(questions, await contextOf(credentials, expected), served);
  failed += result.wrong.length;
  const missing = result.notServed.size;
  console.log(`${result.right} right, ${result.wrong.length} wrong, ${missing} methods not served`);
}
process.exitCode = failed ? 1 : 0;
