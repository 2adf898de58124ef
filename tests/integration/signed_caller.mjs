// Signs commands and has a gateway run them: node signed_caller.mjs KEY_FILE AUDIENCE URL [TOKEN] < commands
// Standard input has one command a line, as JSON; KEY_FILE is what `signalbox key new` wrote.
import { createHash, createPrivateKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";

const [keyFile, aud, url, token] = process.argv.slice(2);
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

const lines = readFileSync(0, "utf8").trim().split("\n");
const commands = lines.map((line) => signed(JSON.parse(line)));
const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
const answer = await fetch(`${url}/v1/commands`, { method: "POST", headers, body: JSON.stringify({ commands }) });
process.stdout.write(await answer.text());
