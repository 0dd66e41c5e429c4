// A try-on as a job, for callers behind a proxy with a short time-out: node resource/clients/tryon.mjs person.jpg garment.jpg result.png
// Nothing to install (Node 18 or newer; in a browser `fetch` and `FormData` are the same). An app with accounts: set CATVTON_KEY.
import { readFile, writeFile } from "node:fs/promises";

const app = process.env.APP ?? "http://127.0.0.1:7860";
const headers = process.env.CATVTON_KEY ? { Authorization: `Bearer ${process.env.CATVTON_KEY}` } : {};
const [person, garment, result] = process.argv.slice(2);

async function ask(path, options = {}) {
  const answer = await fetch(app + path, { headers, ...options });
  if (!answer.ok) {
    const problem = await answer.json(); // "code" is stable and for programs, "message" is for people
    throw new Error(`${problem.code}: ${problem.message}`);
  }
  return answer;
}

async function main() {
  const form = new FormData();
  form.set("person", new Blob([await readFile(person)]));
  form.set("garment", new Blob([await readFile(garment)]));
  form.set("part", "upper");
  form.set("seed", "42");

  let answer = await ask("/v1/jobs", { method: "POST", body: form });
  let job = await answer.json();
  while (job.state === "queued" || job.state === "running") {
    console.log(job.state === "queued" ? `${job.place} before you` : `${job.stage} ${job.step}/${job.steps}`);
    const seconds = Number(answer.headers.get("retry-after") ?? 1);
    await new Promise((wake) => setTimeout(wake, 1000 * seconds));
    answer = await ask(job.url);
    job = await answer.json();
  }
  if (job.state !== "done") throw new Error(`${job.error?.code ?? job.state}: ${job.error?.message ?? ""}`);
  const picture = await ask(job.result);
  await writeFile(result, Buffer.from(await picture.arrayBuffer()));
  console.log(`${result}: engine ${job.info.engine}, seed ${job.info.seed}, job ${job.info.job_id}`);
}

try {
  await main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
