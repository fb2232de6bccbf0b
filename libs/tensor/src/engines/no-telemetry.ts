/**
 * Turns off the telemetry of ONNX Runtime. Its builds for Linux report sessions to its maker, under an id of the machine,
 * unless the environment forbids that at the time it loads, so this module is imported first. ORT_DISABLE_TELEMETRY=0
 * turns it on again.
 */
process.env.ORT_DISABLE_TELEMETRY ??= '1';
