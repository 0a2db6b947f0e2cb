/** The calls to the backend of the demo pages, which serves these pages too. */

export interface Initialized {
  gateway: string;
  uploadId: string;
  token: string;
}

export function initialize(file: { name?: string | undefined; size: number | null; type?: string | undefined }): Promise<Initialized> {
  return post("/api/uploads", { name: file.name, size: file.size, type: file.type });
}

export async function renewToken(uploadId: string): Promise<string> {
  return (await post<{ token: string }>("/api/tokens", { uploadId })).token;
}

async function post<Answer>(path: string, body: unknown): Promise<Answer> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`the backend answers ${response.status}`);
  return (await response.json()) as Answer;
}
