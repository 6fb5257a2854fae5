// SPDX-License-Identifier: MPL-2.0
// otlp.js PORT FILE [CERTDIR]: a receiver of OTLP/HTTP logs, decoded with OpenTelemetry's own definitions. A line of JSON per record that
// was taken goes to FILE ({"refused": the record} of one that was refused), one per request to FILE.requests. FILE.answers, a list of
// words, says how the next requests are answered: a status, status@SECONDS (Retry-After), partial (200, one record refused), hang (no
// answer), drop (taken, and the connection is reset instead of an answer), or cut (reset before the request is read to its end); then
// one of the words in FAULTS at random, else 200.
const fs = require("fs"), zlib = require("zlib"), path = require("path");
const root = require(path.join(process.env.NODE_PATH, "@opentelemetry/otlp-transformer/build/src/generated/root.js"));
const logs = root.opentelemetry.proto.collector.logs.v1;
const [port, file, certs] = process.argv.slice(2);
const faults = (process.env.FAULTS || "200").split(" ");
const value = v => v && (v.stringValue ?? v.intValue ?? v.boolValue);
const attrs = list => Object.fromEntries((list || []).map(a => [a.key, value(a.value)]));
function records(m) {
	const out = [];
	for (const r of m.resourceLogs) for (const s of r.scopeLogs) for (const l of s.logRecords)
		out.push({res: attrs(r.resource.attributes), scope: s.scope.name, sev: l.severityNumber, text: l.severityText,
			  time: String(l.timeUnixNano), body: value(l.body), attrs: attrs(l.attributes)});
	return out;
}
function next() {
	let words = [];
	try { words = fs.readFileSync(file + ".answers", "utf8").split(/\s+/).filter(Boolean); } catch (e) {}
	if (!words.length) return faults[Math.floor(Math.random() * faults.length)];
	fs.writeFileSync(file + ".answers", words.slice(1).join(" "));
	return words[0];
}
function serve(req, res) {
	const parts = [], [word, after] = next().split("@");
	if (word === "cut") { req.once("data", () => req.socket.resetAndDestroy()); return; }
	req.on("data", d => parts.push(d));
	req.on("error", () => {});
	req.on("end", () => {
		const raw = Buffer.concat(parts);
		const list = records(logs.ExportLogsServiceRequest.decode(req.headers["content-encoding"] === "gzip" ? zlib.gunzipSync(raw) : raw));
		const status = word === "partial" || word === "drop" ? 200 : Number(word);
		fs.appendFileSync(file + ".requests", JSON.stringify({at: Date.now(), status, n: list.length, url: req.url, headers: req.headers}) + "\n");
		if (word === "hang") return;
		const taken = status === 200 ? list.map((r, i) => word === "partial" && i === 0 ? {refused: r} : r) : [];
		fs.appendFileSync(file, taken.map(r => JSON.stringify(r) + "\n").join(""));
		if (word === "drop") { req.socket.resetAndDestroy(); return; }
		const reply = word === "partial" ? {partialSuccess: {rejectedLogRecords: 1, errorMessage: "one is bad"}} : {};
		if (after) res.setHeader("Retry-After", after);
		res.writeHead(status, {"Content-Type": "application/x-protobuf"});
		res.end(logs.ExportLogsServiceResponse.encode(reply).finish());
	});
}
const tls = certs && {key: fs.readFileSync(certs + "/srv.key"), cert: fs.readFileSync(certs + "/srv.pem")};
const s = tls ? require("https").createServer(tls, serve) : require("http").createServer(serve);
s.listen(Number(port), process.env.BIND || "127.0.0.1");
