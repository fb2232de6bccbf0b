/** The version of the image, and of the libraries from Maven Central. */
export const KAFKA_VERSION = '4.3.0';
