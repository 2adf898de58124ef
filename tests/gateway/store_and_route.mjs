// Stores, reads and routes with node's fetch: node store_and_route.mjs http://localhost:8010 FOLDER
const [base, folder] = process.argv.slice(2);
const call = async (method, path, body, headers = {}) => {
  const answer = await fetch(base + path, { method, body, headers });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return answer;
};
const json = { "Content-Type": "application/json" };

const route = { backend_type: "filesystem", config: { base_dir: folder }, reason: "a first route" };
for (const kind of ["object_store", "tabular_store"])
  await call("PUT", `/v1/routes/${kind}/t_node/dev`, JSON.stringify(route), json);

const key = encodeURIComponent("greetings/grüß dich?.txt");
const put = await call("PUT", `/v1/objects/t_node/dev/${key}`, "hello from node");
const { op_id } = await put.json();
console.log(await (await call("GET", `/v1/objects/t_node/dev/${key}`)).text());

await call("PUT", "/v1/rows/t_node/dev/people/ann", JSON.stringify({ age: 36 }), json);
const row = await (await call("GET", "/v1/rows/t_node/dev/people/ann")).json();
const outcome = await (await call("GET", `/v1/outcomes/t_node/dev/${op_id}`)).json();
console.log(row.data.age, outcome.outcome.status);
