// Questions to the server. Whatever goes wrong becomes an Error with words for people.

async function answer(response) {
  if (response.ok) return response;
  let found = {};
  try {
    found = await response.json();
  } catch {
    found = { error: `the server answered ${response.status}` };
  }
  throw Object.assign(new Error(found.error), { status: response.status, found });
}

async function asked(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    const words = "The server does not answer. What was saved is safe: start the command again and open its new address.";
    throw Object.assign(new Error(words), { status: 0 });
  }
  return answer(response);
}

function address(name, query) {
  return query ? `${name}?${new URLSearchParams(query)}` : name;
}

export async function get(name, query) {
  return (await asked(address(name, query))).json();
}

export async function post(name, value) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify(value);
  // A page that is closed meanwhile still sends it, if it is not too long for browsers.
  return (await asked(name, { method: "POST", headers, body, keepalive: body.length < 60000 })).json();
}

export async function upload(name, blob) {
  const headers = { "Content-Type": "application/octet-stream" };
  return (await asked(name, { method: "POST", headers, body: blob })).json();
}

export async function photo(name, query) {
  // A picture's address in this page, and the size in pixels that boxes refer to.
  const response = await asked(address(name, query));
  const size = [response.headers.get("X-Width"), response.headers.get("X-Height")].map(Number);
  return { url: URL.createObjectURL(await response.blob()), size };
}

export async function bytes(name, query) {
  return (await asked(address(name, query))).arrayBuffer();
}
