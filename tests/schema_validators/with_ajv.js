// Checks a schema with Ajv in its strict mode, and prints which documents are right by it.
//
// Arguments: the file of the schema, and a file with the documents by name. Prints true or false for each name, as JSON.
"use strict";

const { readFileSync } = require("node:fs");
const Ajv = require("ajv");
const Ajv2020 = require("ajv/dist/2020");

const [schema, documents] = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, "utf8")));
// `strict` makes errors of what strictTypes, strictTuple and strictRequired find, too.
const options = { strict: true, allErrors: true };
const validate = new Ajv2020(options).compile(schema);
// Patterns without the flag u.
new Ajv2020({ ...options, unicodeRegExp: false }).compile(schema);
// Draft 7, by which most editors read a schema.
const { $schema, ...draft7 } = schema;
new Ajv(options).compile(draft7);
const verdicts = Object.entries(documents).map(([name, document]) => [name, validate(document)]);
console.log(JSON.stringify(Object.fromEntries(verdicts)));
