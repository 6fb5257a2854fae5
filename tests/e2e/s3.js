// s3.js PORT DIR: s3rver, an S3 server of npm, with a bucket named logs; buckets as a part of the host's name too.
const S3rver = require('s3rver');
const [port, dir] = process.argv.slice(2);
new S3rver({
	port: +port, address: '127.0.0.1', directory: dir, silent: true, resetOnClose: false,
	serviceEndpoint: 'localhost', vhostBuckets: true, configureBuckets: [{ name: 'logs' }],
}).run().then(() => console.log('listens'), (e) => { console.error(e); process.exit(1); });
