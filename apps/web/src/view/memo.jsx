import { Component } from 'preact';

// A view that is drawn again only when one of its properties is another value.
export function memo(View) {
  return class extends Component {
    shouldComponentUpdate(next) {
      const names = new Set([...Object.keys(next), ...Object.keys(this.props)]);
      return [...names].some((name) => next[name] !== this.props[name]);
    }

    render() {
      return <View {...this.props} />;
    }
  };
}
