// Runs as a program: s3rver with one bucket, until its standard input ends. Its arguments are the
// bucket and a directory; it prints its port.
const S3rver = require("s3rver");

const [bucket, directory] = process.argv.slice(2);
const configureBuckets = [{ name: bucket }];
const options = { address: "127.0.0.1", port: 0, silent: true, directory, configureBuckets };
new S3rver(options).run().then(({ port }) => console.log(port));
process.stdin.resume().on("end", () => process.exit());
