"""What writes the generated files of the chart and of deploy/; Helm itself reads only charts/treering."""
