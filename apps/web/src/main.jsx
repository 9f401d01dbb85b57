import { render } from 'preact';
import { Chat } from './chat.js';
import { App } from './view/app.jsx';

const chat = new Chat();
chat.start();
render(<App chat={chat} />, document.getElementById('page'));
