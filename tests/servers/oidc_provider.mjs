// Runs as a program: oidc-provider (panva), an OpenID Connect provider of another make, until its
// standard input ends. Its argument is a JSON list of clients; it prints its issuer. The resource
// urn:<algorithm>:<audience> gives access tokens as JWTs of that audience, for 60 seconds.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const pairs = [
  ["RS256", generateKeyPairSync("rsa", { modulusLength: 2048 })],
  ["ES256", generateKeyPairSync("ec", { namedCurve: "P-256" })],
  ["EdDSA", generateKeyPairSync("ed25519")],
  ["PS256", generateKeyPairSync("rsa", { modulusLength: 2048 })],
];
const keys = pairs.map(([alg, { privateKey }]) => ({
  ...privateKey.export({ format: "jwk" }),
  ...{ alg, use: "sig" },
}));
const clients = JSON.parse(process.argv[2]).map((client_id) => ({
  ...{ client_id, client_secret: "s3cret-of-a-test", grant_types: ["client_credentials"] },
  ...{ redirect_uris: [], response_types: [] },
}));
const getResourceServerInfo = (_, resource) => {
  const [, alg, audience] = resource.split(":");
  return { audience, scope: "", accessTokenTTL: 60, accessTokenFormat: "jwt", jwt: { sign: { alg } } };
};

const server = createServer().listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients,
    jwks: { keys },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: { enabled: true, getResourceServerInfo, defaultResource: () => undefined },
    },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
process.stdin.resume().on("end", () => process.exit());
