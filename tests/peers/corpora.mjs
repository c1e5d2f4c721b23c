// corpora.mjs FOLDER REPORT RAW: hold what `callboard ingest FOLDER --json` reported against what the
// files say: how many of each kind there are, and that every file that is not served as it stands is
// named, with a line that explains it. RAW is the report on all YAML files of the folder, templates
// and all: mistakes in YAML have to stand where Backstage's parser finds them.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { LineCounter, parseAllDocuments } from 'yaml';
import { catalogFiles, readFiles, yamlFiles } from './expected.mjs';

const [folder, report, raw] = process.argv.slice(2);
const said = JSON.parse(fs.readFileSync(report, 'utf8'));
const files = catalogFiles(folder);
const wanted = await readFiles(files, `file:${folder}`);

const kinds = {};
for (const { kind } of wanted.entities.values()) kinds[kind] = (kinds[kind] ?? 0) + 1;
const { Location: locations, ...rest } = said.kinds;
assert.deepEqual(rest, kinds, 'the counts of kinds');

const [source] = said.sources;
const reported = source.problems.map(({ location, line, message }) => ({
  file: location.replace(/^file:/, ''), line, message,
}));
for (const place of source.leftOut) {
  const [, file, line] = /^(.*):(\d+):\d+$/.exec(place);
  reported.push({ file, line: Number(line), message: 'left out, a template' });
}
const name = file => path.relative(folder, file);
for (const file of new Set(wanted.problems.map(problem => problem.file))) {
  const found = reported.find(problem => problem.file === file);
  assert(found, `${name(file)} is broken, and not reported`);
  assert(explains(found), `${name(file)}:${found.line}: ${found.message}`);
  console.log(`ok     broken ${name(file)}:${found.line}: ${found.message.split('; ').at(-1).slice(0, 90)}`);
}
const broken = wanted.problems.map(problem => problem.file);
const surplus = reported.filter(problem => !broken.includes(problem.file) && !isTwice(problem));
assert.deepEqual(surplus, [], 'files that are whole');
const counts = Object.entries(kinds).map(([kind, count]) => `${count} ${kind}`).join(', ');
console.log(`ok     ${path.basename(folder)}: ${counts} from ${files.length} files`);

const places = new Set();
for (const { location, line, column } of JSON.parse(fs.readFileSync(raw, 'utf8')).sources[0].problems) {
  places.add(`${location.replace(/^file:/, '')}:${line}:${column}`);
}
for (const file of yamlFiles(folder)) {
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(fs.readFileSync(file, 'utf8'), { lineCounter });
  for (const { errors: [error] } of documents) {
    if (!error) continue;
    const { line, col } = lineCounter.linePos(error.pos[0]);
    const place = `${file}:${line}:${col}`;
    assert(places.has(place), `${place} is not YAML, and not reported`);
    console.log(`ok     not YAML ${name(place)}`);
  }
}

/** A line explains a problem if the parser has one there, or if the reason stands on it. */
function explains({ file, line }) {
  const text = fs.readFileSync(file, 'utf8').split('\n')[line - 1];
  return wanted.problems.some(p => p.file === file && p.line === line && !p.message.startsWith('"'))
    || /\{\{|\{%|\$(yaml|text|json):/.test(text);
}

/** What a file has twice is told as well; both places have to be of the same entity. */
function isTwice({ file, line, message }) {
  const [, kind, name, last] = /^ConflictError: (\w+):default\/(\S+) is described again on line (\d+)/.exec(message) ?? [];
  const lineCounter = new LineCounter();
  const found = new Map(parseAllDocuments(fs.readFileSync(file, 'utf8'), { lineCounter })
    .filter(document => document.contents)
    .map(document => [lineCounter.linePos(document.contents.range[0]).line, document.toJS()]));
  return [line, Number(last)].every(at => {
    const entity = found.get(at);
    return entity?.kind.toLowerCase() === kind && entity.metadata.name.toLowerCase() === name;
  });
}
