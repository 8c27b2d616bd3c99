import { socketTransport } from '../../../src/http/socket/socket-transport.ts';
import { connectedTransportContract } from '../../contract/connected-transport.ts';

connectedTransportContract('sockets', socketTransport);
