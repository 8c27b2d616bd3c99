import { forgetSecrets } from '../../src/redaction.ts';

// Runs before each file. They share a process, and a login of one must not hide words of messages that another expects.
forgetSecrets();
