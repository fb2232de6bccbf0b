/**
 * ONNX Runtime's builds for Linux tell its maker of the sessions they open, and keep an id of the machine, unless the
 * environment says not to when it loads: so this is imported before it. Whoever wants that sets ORT_DISABLE_TELEMETRY=0.
 */
process.env.ORT_DISABLE_TELEMETRY ??= '1';
