// What an agent's octokit tells its model. Usage: node attempt.mjs '{"baseUrl", "key", "method", "arguments"}'
// Prints one JSON object: {"data"} or {"error", "status"}. `paginate` follows every page.
import { Octokit } from "@octokit/rest";

const { baseUrl, key, method, arguments: given } = JSON.parse(process.argv[2]);
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const octokit = new Octokit({ baseUrl, auth: key, log: quiet });
const calls = {
  createIssue: () => octokit.rest.issues.create(given),
  createLabel: () => octokit.rest.issues.createLabel(given),
  paginate: async () => ({ data: await octokit.paginate(octokit.rest.issues.listForRepo, given) }),
};
try {
  const { data } = await calls[method]();
  console.log(JSON.stringify({ data }));
} catch (error) {
  console.log(JSON.stringify({ error: error.message, status: error.status }));
}
