// The description of the interface -> a page to read and to try it from, by Swagger UI.

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  validatorUrl: null, // it would ask another host
  deepLinking: true,
});
