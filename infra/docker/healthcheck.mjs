/** Asks the service in this container whether it is ready; 0 when it is, else 1 and its reasons. */
const { PORT = '8080' } = process.env;
const response = await fetch(`http://127.0.0.1:${PORT}/readyz`);
if (!response.ok) {
  process.stderr.write(`${await response.text()}\n`);
  process.exitCode = 1;
}
