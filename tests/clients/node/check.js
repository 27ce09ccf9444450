// jsforce, as it is published, against the simulator, whose address is its loginUrl.

import crypto from "node:crypto";
import fs from "node:fs";
import jsforce from "jsforce";

const org = JSON.parse(process.argv[2]);
const STATEMENT = "SELECT Id, LogFileLength FROM EventLogFile WHERE Interval = 'Hourly' ORDER BY CreatedDate, Id";

const control = async (method, path) => (await fetch(org.control_url + path, { method })).text();
const stats = async () => JSON.parse(await control("GET", "/stats"));

function check(name, condition, ...more) {
  if (!condition) throw new Error(`${name}: ${JSON.stringify(more)}`);
  console.log(`pass  jsforce, ${name}`);
}

async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error("not refused");
}

function connection() {
  return new jsforce.Connection({
    version: "65.0",
    oauth2: {
      loginUrl: org.url,
      clientId: org.client_id,
      clientSecret: org.client_secret,
      redirectUri: "http://127.0.0.1/unused",
    },
  });
}

function assertion() {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = {
    iss: org.client_id,
    sub: org.username,
    aud: org.audience,
    exp: Math.floor(Date.now() / 1000) + 120,
  };
  const signed = `${part({ alg: "RS256" })}.${part(claims)}`;
  const signature = crypto.sign("RSA-SHA256", Buffer.from(signed), fs.readFileSync(org.key_file));
  return `${signed}.${signature.toString("base64url")}`;
}

async function byJwt() {
  const conn = connection();
  await conn.authorize({
    grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
    assertion: assertion(),
  });
  return conn;
}

async function byPassword() {
  const conn = connection();
  await conn.login(org.username, org.password);
  return conn;
}

async function checkFlow(flow, signIn) {
  const conn = await signIn();
  check(`${flow}: signs in`, conn.accessToken.startsWith("00D") && conn.instanceUrl === org.url);
  const first = await conn.query(STATEMENT);
  const records = [];
  await new Promise((resolve, reject) => {
    conn
      .query(STATEMENT)
      .on("record", (record) => records.push(record))
      .on("end", resolve)
      .on("error", reject)
      .run({ autoFetch: true, maxFetch: 100_000 });
  });
  const ids = new Set(records.map((record) => record.Id));
  check(`${flow}: pages through a query`, !first.done && ids.size === org.hours, ids.size);
  const malformed = await refusal(() => conn.query("SELECT Id FROM"));
  check(`${flow}: a malformed query`, malformed.errorCode === "MALFORMED_QUERY", malformed.errorCode);
  const chunks = [];
  const blob = conn.sobject("EventLogFile").record(records[0].Id).blob("LogFile");
  for await (const chunk of blob) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  check(
    `${flow}: downloads a LogFile`,
    body.length === records[0].LogFileLength && body.toString().startsWith('"EVENT_TYPE","TIMESTAMP"'),
    body.length,
  );
  // Given a token alone, the library says that it expired; given a password, it signs in again by itself.
  const { accessToken, instanceUrl } = conn;
  const byToken = new jsforce.Connection({ version: "65.0", instanceUrl, accessToken });
  const before = (await stats()).tokens_issued;
  await control("POST", "/expire-sessions");
  const expired = await refusal(() => byToken.query(STATEMENT));
  check(`${flow}: an expired session`, expired.errorCode === "INVALID_SESSION_ID", expired.errorCode);
  if (flow === "password") {
    const again = await conn.query(STATEMENT);
    const issued = (await stats()).tokens_issued;
    check(`${flow}: signs in again`, again.totalSize === org.hours && issued === before + 1, issued);
  }
}

await checkFlow("JWT", byJwt);
await checkFlow("password", byPassword);
const wrong = await refusal(() => connection().login(org.username, "wrong"));
check("password: a wrong one", wrong.name === "invalid_grant" && wrong.message === "authentication failure", wrong.name, wrong.message);
