customElements.get('mtag-panel') || customElements.define('mtag-panel', class extends HTMLElement {});
document.body.append(document.createElement('mtag-panel'));
