// SPDX-License-Identifier: Apache-2.0
// gRPC's interop cases by grpc-js, whose HTTP/2 is Node's own: there is no ready client of that library to fetch.
//   node interop.js FOLDER-OF-MODULES PROTO HOST:PORT CASE [AUTHORITY.pem NAME]
'use strict';

const assert = require('assert');
const fs = require('fs');
const { createRequire } = require('module');

const [modules, proto, address, name, authority, override] = process.argv.slice(2);
const load = createRequire(`${modules}/`);
const grpc = load('@grpc/grpc-js');
const loaded = load('@grpc/proto-loader').loadSync(proto, { keepCase: true, longs: Number, defaults: true });
const { TestService } = grpc.loadPackageDefinition(loaded).grpc.testing;

function connect(options = {}) {
  const credentials = authority ? grpc.credentials.createSsl(fs.readFileSync(authority)) : grpc.credentials.createInsecure();
  return new TestService(address, credentials, {
    'grpc.max_receive_message_length': 16 << 20,
    ...(override ? { 'grpc.ssl_target_name_override': override } : {}),
    ...options,
  });
}

const payload = (size) => ({ body: Buffer.alloc(size) });
const sizes = [31415, 9, 2653, 58979];
const requests = [27182, 8, 1828, 45904];

function unary(client, method, request, metadata = new grpc.Metadata(), options = {}) {
  return new Promise((resolve, reject) => {
    const result = {};
    const call = client[method](request, metadata, options, (error, response) => {
      result.error = error;
      result.response = response;
    });
    call.on('metadata', (initial) => { result.initial = initial; });
    call.on('status', (status) => {
      result.status = status;
      setImmediate(() => resolve(result));
    });
    setTimeout(() => reject(new Error('no status')), 30000).unref();
  });
}

/* Messages and status of a stream; `each` is told of every message. */
function stream(call, each = () => {}) {
  return new Promise((resolve) => {
    const result = { messages: [] };
    call.on('data', (message) => {
      result.messages.push(message);
      each(result.messages.length, call);
    });
    call.on('metadata', (initial) => { result.initial = initial; });
    call.on('error', () => {});
    call.on('status', (status) => {
      result.status = status;
      setImmediate(() => resolve(result));
    });
  });
}

function duplexRequest(index) {
  return { response_parameters: [{ size: sizes[index] }], payload: payload(requests[index]) };
}

async function largeUnary(client) {
  const { response, error } = await unary(client, 'UnaryCall', { response_size: 314159, payload: payload(271828) });
  assert.ifError(error);
  assert.strictEqual(response.payload.body.length, 314159);
}

async function echoesStatus(client, message) {
  const request = { response_status: { code: 2, message } };
  const { status } = await unary(client, 'UnaryCall', request);
  assert.deepStrictEqual([status.code, status.details], [2, message]);
  const call = client.FullDuplexCall();
  const done = stream(call);
  call.write(request);
  call.end();
  const ended = (await done).status;
  assert.deepStrictEqual([ended.code, ended.details], [2, message]);
}

const cases = {
  async empty_unary(client) {
    assert.ifError((await unary(client, 'EmptyCall', {})).error);
  },
  large_unary: largeUnary,
  async compressed_unary() {
    await largeUnary(connect({ 'grpc.default_compression_algorithm': 2 }));
  },
  async client_streaming(client) {
    const aggregated = await new Promise((resolve, reject) => {
      const call = client.StreamingInputCall((error, response) => (error ? reject(error) : resolve(response)));
      requests.forEach((size) => call.write({ payload: payload(size) }));
      call.end();
    });
    assert.strictEqual(aggregated.aggregated_payload_size, 74922);
  },
  async server_streaming(client) {
    const request = { response_parameters: sizes.map((size) => ({ size })) };
    const { messages, status } = await stream(client.StreamingOutputCall(request));
    assert.deepStrictEqual(messages.map((message) => message.payload.body.length), sizes);
    assert.strictEqual(status.code, 0);
  },
  async ping_pong(client) {
    const call = client.FullDuplexCall();
    const done = stream(call, (count) => (count < sizes.length ? call.write(duplexRequest(count)) : call.end()));
    call.write(duplexRequest(0));
    const { messages, status } = await done;
    assert.deepStrictEqual(messages.map((message) => message.payload.body.length), sizes);
    assert.strictEqual(status.code, 0);
  },
  async empty_stream(client) {
    const call = client.FullDuplexCall();
    const done = stream(call);
    call.end();
    const { messages, status } = await done;
    assert.deepStrictEqual([messages.length, status.code], [0, 0]);
  },
  async custom_metadata(client) {
    const metadata = new grpc.Metadata();
    metadata.set('x-grpc-test-echo-initial', 'test_initial_metadata_value');
    metadata.set('x-grpc-test-echo-trailing-bin', Buffer.from('ababab', 'hex'));
    const check = ({ initial, status }) => {
      assert.deepStrictEqual(initial.get('x-grpc-test-echo-initial'), ['test_initial_metadata_value']);
      assert.deepStrictEqual(status.metadata.get('x-grpc-test-echo-trailing-bin'), [Buffer.from('ababab', 'hex')]);
    };
    check(await unary(client, 'UnaryCall', { response_size: 314159, payload: payload(271828) }, metadata));
    const call = client.FullDuplexCall(metadata);
    const done = stream(call);
    call.write(duplexRequest(0));
    call.end();
    check(await done);
  },
  status_code_and_message: (client) => echoesStatus(client, 'test status message'),
  special_status_message: (client) => echoesStatus(
    client, '\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n'),
  async unimplemented_method(client) {
    const { status } = await new Promise((resolve) => {
      client.makeUnaryRequest('/grpc.testing.TestService/UnimplementedCall', () => Buffer.alloc(0), (bytes) => bytes, {},
        (error) => resolve({ status: error }));
    });
    assert.strictEqual(status.code, grpc.status.UNIMPLEMENTED);
  },
  async unimplemented_service(client) {
    const { status } = await new Promise((resolve) => {
      client.makeUnaryRequest('/grpc.testing.UnimplementedService/UnimplementedCall', () => Buffer.alloc(0),
        (bytes) => bytes, {}, (error) => resolve({ status: error }));
    });
    assert.strictEqual(status.code, grpc.status.UNIMPLEMENTED);
  },
  async cancel_after_begin(client) {
    const code = await new Promise((resolve) => {
      const call = client.StreamingInputCall((error) => resolve(error.code));
      call.cancel();
    });
    assert.strictEqual(code, grpc.status.CANCELLED);
  },
  async cancel_after_first_response(client) {
    const call = client.FullDuplexCall();
    const done = stream(call, () => call.cancel());
    call.write(duplexRequest(0));
    const { messages, status } = await done;
    assert.deepStrictEqual([messages.length, status.code], [1, grpc.status.CANCELLED]);
  },
  async timeout_on_sleeping_server(client) {
    const call = client.FullDuplexCall(new grpc.Metadata(), { deadline: Date.now() + 1 });
    const done = stream(call);
    call.write({ payload: payload(27182) });
    assert.strictEqual((await done).status.code, grpc.status.DEADLINE_EXCEEDED);
  },
};

const client = connect();
cases[name](client).then(() => {
  client.close();
  console.log(`${name}: passed`);
  process.exit(0);
}, (error) => {
  console.error(error);
  process.exit(1);
});
