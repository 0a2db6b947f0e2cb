// The two calls of a page to its own backend, which holds the account; the page never does.
// In the demo it is server/partway_server/devstack/demo_page.py.

/** Have an Upload initialized for a file: {gateway, uploadId, token}. */
export function initialize(file) {
  return post("/api/uploads", { name: file.name, size: file.size, type: file.type });
}

/** Have another token made for an Upload, once the one before has expired, or after a reload. */
export async function renewToken(uploadId) {
  return (await post("/api/tokens", { uploadId })).token;
}

async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  return answer;
}
