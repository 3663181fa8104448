// Shows openapi.json; a link such as /docs#/operations/createCharge opens that operation.
"use strict";

const METHODS = ["get", "put", "post", "patch", "delete"];

function openOperation(document) {
  const [, id] = location.hash.match(/^#\/operations\/(\w+)$/) || [];
  for (const path of Object.values({ ...document.paths, ...document.webhooks })) {
    for (const method of METHODS) {
      if (id && path[method] && path[method].operationId === id) {
        const tag = path[method].tags[0].replaceAll(" ", "%20");
        history.replaceState(null, "", `#/${tag}/${id}`);
      }
    }
  }
}

fetch("openapi.json")
  .then((response) => response.json())
  .then((document) => {
    openOperation(document);
    // The document's own place resolves its relative links.
    SwaggerUIBundle({
      spec: document,
      dom_id: "#docs",
      deepLinking: true,
      displayOperationId: true,
      persistAuthorization: true,
      tryItOutEnabled: true,
    });
    addEventListener("hashchange", () => {
      const before = location.hash;
      openOperation(document);
      if (location.hash !== before) location.reload();
    });
  });
