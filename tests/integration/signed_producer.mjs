// Signs commands and puts them on a queue: node signed_producer.mjs KEY_FILE AUDIENCE HOST PORT SHARDS < commands
// Standard input has one command a line, as JSON; KEY_FILE is what `signalbox key new` wrote.
import { createHash, createPrivateKey, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { crc32 } from "node:zlib";

const [keyFile, aud, host, port, shards] = process.argv.slice(2);
const jwk = JSON.parse(readFileSync(keyFile, "utf8"));
const key = createPrivateKey({ key: jwk, format: "jwk" });
const thumbprint = JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x });
const kid = createHash("sha256").update(thumbprint).digest("base64url");
const encode = (document) => Buffer.from(JSON.stringify(document)).toString("base64url");

function signed(command) {
  const iat = Math.floor(Date.now() / 1000);
  const header = { alg: "EdDSA", kid, typ: "signalbox-command" };
  const claims = { aud, iat, exp: iat + 300, op_id: command.op_id, command };
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${sign(null, Buffer.from(text), key).toString("base64url")}`;
}

function message(command, queue) {
  const body = JSON.stringify([[], { command: signed(command) }, {}]);
  return JSON.stringify({
    body: Buffer.from(body).toString("base64"),
    "content-type": "application/json",
    "content-encoding": "utf-8",
    headers: { lang: "py", task: command.op, id: randomUUID() },
    properties: { body_encoding: "base64", delivery_tag: randomUUID(), delivery_info: { exchange: "", routing_key: queue } },
  });
}

const socket = connect(Number(port), host);
for (const line of readFileSync(0, "utf8").trim().split("\n")) {
  const command = JSON.parse(line);
  const queue = `${command.op.split(".")[0]}.${crc32(`${command.tenant_id}/${command.env}`) % Number(shards)}`;
  const words = ["LPUSH", queue, message(command, queue)];
  socket.write(`*3\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`);
}
socket.end(`*1\r\n$4\r\nQUIT\r\n`).resume();
