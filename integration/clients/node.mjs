// Tests node-postgres as drivers.py tests others. CLIENT_MODULES is the folder where it is installed.
import assert from "node:assert";
import fs from "node:fs";
import { createRequire } from "node:module";

const pg = createRequire(process.env.CLIENT_MODULES + "/")("pg");
const [host, port] = process.env.CLIENT_POSTGRES.split(":");
const conn = {
  host, port, user: "ada", password: process.env.CLIENT_TOKEN, database: "trial", enableChannelBinding: true,
  ssl: { ca: fs.readFileSync(process.env.CLIENT_CA), rejectUnauthorized: true },
};
const sql = process.env.CLIENT_MIXED.replace("?1", "$1").replace("?2", "$2");
// An integer beyond 2^53 comes as exact text, because the driver returns all eight-byte integers as text.
const right = JSON.parse(process.env.CLIENT_MIXED_ROWS.replace(/(\d{16,})/g, '"$1"')).map((r) => r.map((v) => (v === null ? null : String(v))));
const day = (d) => [d.getFullYear(), String(d.getMonth() + 1).padStart(2, "0"), String(d.getDate()).padStart(2, "0")].join("-");
const plain = (rows) => rows.map((r) => r.map((v) => (v === null ? null : v instanceof Date ? day(v) : String(v))));

const pool = new pg.Pool(conn);
for (const name of [undefined, "kept"]) {
  const a = await pool.query({ name, text: sql, values: [[8507, 8532], 1950], rowMode: "array" });
  assert.deepEqual(plain(a.rows), right, "a list");
}
const columns = await pool.query("SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position LIMIT 2", ["death"]);
assert.deepEqual(columns.rows.map((r) => r.column_name), ["person_id", "death_date"]);
for (const [text, value, literal] of [
  ["SELECT COUNT(*) AS n FROM death WHERE death_date >= $1", "2020-01-01", "DATE '2020-01-01'"],
  ["SELECT COUNT(*) AS n FROM measurement WHERE value_as_number >= $1", 12.5, "12.5"],
]) {
  assert.deepEqual((await pool.query(text, [value])).rows, (await pool.query(text.replace("$1", literal))).rows, text);
}
await assert.rejects(pool.query("SELECT COUNT(*) FROM persn"), (e) => e.code === "42P01" && e.hint === "did you mean person?" && e.position === "22");
await pool.end();
console.log("ok");
