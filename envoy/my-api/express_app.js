const express = require("express");

const app = express();

function user(req, res, next) {
  const id = req.get("x-user");
  if (!id) return res.sendStatus(401); // it did not come through a rule that requires a token
  const roles = req.get("x-roles");
  req.user = {
    id,
    name: Buffer.from(req.get("x-name") ?? "", "base64").toString(),
    roles: roles ? roles.split(",") : [],
  };
  next();
}

app.get("/api/public", (req, res) => res.json({ message: "for everybody" }));

app.get("/api/private", user, (req, res) => res.json(req.user));

// The gateway has looked for the scope.
app.get("/api/private-scoped", user, (req, res) => res.json(req.user));

app.get("/api/messages/:author", user, (req, res) => {
  const { id, roles } = req.user;
  if (req.params.author !== id && !roles.includes("admin")) return res.sendStatus(403);
  res.json({ author: req.params.author });
});

app.listen(process.env.PORT ?? 8080, process.env.HOST ?? "127.0.0.1");
